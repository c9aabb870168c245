"""What stands in for any backend while the agent's configuration cannot be read."""

from collections.abc import Mapping

from .base import Answer, BackendError, Json, Reporter, Request, Unready

REASON = "the agent's configuration cannot be read any more; give it a new one"


class UnreadableBackend:
    """Fails all work; `name` is of the backend whose place it takes."""

    remembers = resumes = works_in_files = False

    def __init__(self, name: str) -> None:
        self.name = name

    async def run(self, request: Request, reporter: Reporter) -> Answer:
        """Raises BackendError with code `not_configured`."""
        raise BackendError(REASON, code="not_configured")

    def unready(self, config: Mapping[str, Json]) -> Unready | None:
        """For good."""
        return Unready(REASON, for_good=True)
