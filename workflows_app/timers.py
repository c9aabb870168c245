"""Waits of seconds end on time: this process wakes the workflow then, and the sweep stands behind it."""

import heapq
import logging
import threading
import time
from datetime import datetime

from django.db import close_old_connections, transaction

from taskmaster.core.clock import now

logger = logging.getLogger(__name__)

# Longer waits are the sweep's: it looks every two seconds.
LONGEST = 120.0
# What is due goes to bed with the process: so many at the most, and the rest is the sweep's.
MOST = 100_000


class _Clock:
    """One thread that wakes workflows, the next one first."""

    def __init__(self) -> None:
        self._due: list[tuple[float, str]] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, workflow_id: str, seconds: float) -> None:
        """Wake it after so many seconds."""
        with self._changed:
            if len(self._due) >= MOST:
                return
            heapq.heappush(self._due, (time.monotonic() + seconds, workflow_id))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="workflow-timers", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            _wake(self._next())

    def _next(self) -> str:
        with self._changed:
            while not self._due or self._due[0][0] > time.monotonic():
                self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
            return heapq.heappop(self._due)[1]


_clock = _Clock()


def wake_at(workflow_id: str, moment: datetime) -> None:
    """Look at the workflow then, if that is soon (after the commit)."""
    seconds = (moment - now()).total_seconds()
    if seconds <= LONGEST:
        transaction.on_commit(lambda: _clock.add(workflow_id, max(0.0, seconds)))


def _wake(workflow_id: str) -> None:
    from .waking import wake

    try:
        wake(workflow_id)
    except Exception as error:
        logger.warning("left for the sweep: %s", type(error).__name__)
    finally:
        close_old_connections()
