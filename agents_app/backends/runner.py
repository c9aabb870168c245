"""An agent that its user works with a process of their own: it leases its tasks over REST, no worker runs them."""

from collections.abc import Mapping

from .base import Answer, BackendError, Json, Reporter, Request, Unready


class RunnerBackend:
    """The place of a runner in the table of backends."""

    name = "runner"
    remembers = True
    resumes = works_in_files = False

    async def run(self, request: Request, reporter: Reporter) -> Answer:
        """Never called, since it is never ready here."""
        raise BackendError("A runner's work cannot be run by a worker.")

    def unready(self, config: Mapping[str, Json]) -> Unready | None:
        """Not for our workers; its runners come by themselves."""
        return Unready("It is worked by its own runners.", for_good=False)
