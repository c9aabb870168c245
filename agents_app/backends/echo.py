"""Answers at once with what it was asked: for smoke tests and benchmarks."""

from collections.abc import Mapping

from .base import Answer, Json, Reporter, Request, Unready


class EchoBackend:
    """A message's content comes back as it is, a task's fields as its result."""

    name = "echo"
    remembers = False
    resumes = works_in_files = False

    async def run(self, request: Request, reporter: Reporter) -> Answer:
        """Never fails and uses no tokens."""
        reporter.delta(request.content)
        if request.is_message:
            return Answer(request.content, backend=self.name, model=self.name)
        result = {
            "content": request.content,
            "type": request.type,
            "requirements": list(request.requirements),
            "context": dict(request.context),
        }
        return Answer(request.content, result=result, backend=self.name, model=self.name)

    def unready(self, config: Mapping[str, Json]) -> Unready | None:
        """Always there."""
        return None
