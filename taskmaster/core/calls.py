"""The calls: which agents have something to do, for whichever worker has a place free. Always after the commit.

On Redis they are one sorted set by the time of the call: an agent stands in it once however often it was called, and
exactly one worker takes it. The rows are the truth and a sweep stands behind every call, so nothing is lost with one.
Where everything is one process there is nobody to call: see `dispatch`.
"""

import logging
import threading
import time
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import redis
from django.conf import settings
from django.db import transaction

logger = logging.getLogger(__name__)

KEY = "taskmaster:calls"
CONNECT_SECONDS, ANSWER_SECONDS = 2, 5
# The same call so many times at once, then so many a second: to look at a busy agent in vain costs others their turn.
BURST, A_SECOND = 50.0, 200.0
MOST_KEYS = 10_000


def call(key: str) -> None:
    """Call a worker once the current transaction has committed. A Redis that is away never fails a request."""
    transaction.on_commit(partial(sluice.send, key))


def take(seconds: float) -> str | None:
    """Take the call that has waited longest; None where there was none for so long. Raises RedisError."""
    found: Any = _redis().bzpopmin(KEY, seconds)
    return found[1].decode() if found else None


def put_back(key: str) -> None:
    """Leave a call to another worker."""
    _send(key)


@cache
def _redis() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=CONNECT_SECONDS
    )


def _send(key: str) -> None:
    if not settings.REDIS_URL:
        return
    try:
        _redis().zadd(KEY, {key: time.time()}, nx=True)
    except redis.RedisError as error:
        logger.warning("call not sent, the sweep will repeat it: %s", type(error).__name__)


@dataclass(slots=True)
class _Flow:
    """One call's share: what may still pass at once, and whether a late one is due already."""

    left: float
    at: float
    late: bool = False


class Sluice:
    """Lets the first of a burst pass at once; those beyond travel together, a moment later. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flows: dict[str, _Flow] = {}

    def send(self, key: str) -> None:
        """Send it now or soon."""
        pause = self._pause(key)
        if pause == 0:
            _send(key)
        elif pause is not None:
            late = threading.Timer(pause, self._send_late, [key])
            late.daemon = True
            late.start()

    def _pause(self, key: str) -> float | None:
        """Seconds until it may pass; None where one that is due already says the same."""
        moment = time.monotonic()
        with self._lock:
            if len(self._flows) > MOST_KEYS:
                self._flows.clear()
            flow = self._flows.setdefault(key, _Flow(BURST, moment))
            flow.left = min(BURST, flow.left + (moment - flow.at) * A_SECOND)
            flow.at = moment
            if flow.late:
                return None
            if flow.left >= 1:
                flow.left -= 1
                return 0
            flow.late = True
            return (1 - flow.left) / A_SECOND

    def _send_late(self, key: str) -> None:
        with self._lock:
            flow = self._flows.get(key)
            if flow:
                flow.late, flow.left = False, flow.left - 1
        _send(key)


sluice = Sluice()
