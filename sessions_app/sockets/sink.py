"""The writing end of a socket."""

from typing import Any, Protocol


class Sink(Protocol):
    """Where frames go, past everything that would encode them again for each socket."""

    def write_frames(self, frames: bytes) -> bool:
        """Write whole frames; False where the client is behind. Raises ConnectionError on a closed one."""
        ...

    async def room(self) -> None:
        """Return once there is room, or nobody to write to."""
        ...

    @property
    def can_send(self) -> bool:
        """Whether anybody can be told anything."""
        ...

    @property
    def is_behind(self) -> bool:
        """Whether the client has to read before more should be sent."""
        ...

    def refuse(self, status: int, message: str) -> None:
        """Answer the handshake with that status, and why."""

    def serverClose(self, code: int, reason: str) -> None:
        """Close it with that code, and why, in at most 123 bytes."""


def sink_of(scope: dict[str, Any]) -> Sink:
    """That of a handshake."""
    sink: Sink = scope["extensions"]["taskmaster"]["socket"]
    return sink
