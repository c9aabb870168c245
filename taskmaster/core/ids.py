"""Public ids: a prefix, an underscore, and 26 characters that sort by time (a ULID in lower case)."""

import os
import re
import threading
import time
from collections.abc import Callable
from functools import partial

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 40
SHAPE = re.compile(r"[a-z]+_[0-9a-z]{26}\Z")
_RANDOM_BITS = 80


class _Clock:
    """Milliseconds and a random tail that only ever grows, so that one process never makes two ids out of order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> int:
        fresh = (time.time_ns() // 1_000_000) << _RANDOM_BITS | int.from_bytes(os.urandom(10))
        with self._lock:
            # Within one millisecond (or after the clock stepped back) count up from the last id instead.
            floor = self._last + 1 + int.from_bytes(os.urandom(4))
            self._last = fresh if fresh >> _RANDOM_BITS > self._last >> _RANDOM_BITS else floor
            return self._last


_clock = _Clock()


def _encode(number: int) -> str:
    return "".join(ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def new_id(prefix: str) -> str:
    """A new id such as `task_01k9…`: opaque to clients, ordered by the time it was made."""
    return f"{prefix}_{_encode(_clock.next())}"


def id_factory(prefix: str) -> Callable[[], str]:
    """A default for a model's primary key; a `partial`, so that migrations can write it down."""
    return partial(new_id, prefix)
