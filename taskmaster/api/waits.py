"""What a caller may wait for without holding a thread: a view names it, the server's edge does the waiting."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .envelope import Reply


@dataclass(slots=True)
class Wait:
    """A wait for the signal `key`, at most `seconds`.

    `finish` is called in a worker thread when the signal came or the time is over; it looks at the database and
    returns the answer, or the interim one if it is still not there, or None where the wait is to go on, as when
    several wait for what one can have. `ended` takes the keys of many waits and returns
    those that have ended: the sweep behind a lost signal, one query for all. `streams` asks for server-sent events:
    what comes under `live_key` on the way, then `last_event`: its name, its data, and the whole text.
    """

    key: str
    seconds: float
    finish: Callable[[], "Reply | None"]
    ended: Callable[[list[str]], set[str]]
    streams: bool = False
    live_key: str = ""
    last_event: Callable[[], tuple[str, bytes, str] | None] = field(default=lambda: None)
    # The Idempotency-Key row whose interim answer the final one replaces.
    idempotency: int | None = None
    # Whether one alone gets what several wait for, and since when, by the monotonic clock, a signal is news to it.
    alone: bool = False
    since: float = 0.0
