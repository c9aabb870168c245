"""What an HTTP connection waits for, and for how long."""

from enum import Enum

from taskmaster.server.limits import Limits

LINGER = 2.0  # seconds in which a client may still read the last that it is sent


class Phase(Enum):
    """What the connection waits for; a phase has one deadline, which no single byte moves, or none."""

    HEADERS = "headers"
    BODY = "body"
    ANSWERING = "answering"
    STALLED = "stalled"  # the client does not read its answer
    IDLE = "idle"
    CLOSING = "closing"
    UPGRADED = "upgraded"  # a WebSocket, with rules of its own


FINAL = (Phase.CLOSING, Phase.UPGRADED)


def deadlines(limits: Limits) -> dict[Phase, float]:
    """Seconds by phase; a phase without an entry may last for ever."""
    return {
        Phase.HEADERS: limits.headers_within,
        Phase.BODY: limits.body_within,
        Phase.STALLED: limits.idle_for,
        Phase.IDLE: limits.idle_for,
        Phase.CLOSING: LINGER,
    }
