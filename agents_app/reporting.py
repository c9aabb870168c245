"""What a running task tells: pieces of its answer go out live, its progress is stored now and then."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from taskmaster.core.wakeups import hub

from . import leases
from .models import Task

PROGRESS_EVERY = 1.0
# Pieces that come close together travel together, and an answer that is there by then needs none.
GATHER_SECONDS = 0.02


class TaskReporter:
    """The reporter of one attempt. `in_pool` runs a call in a thread that may use the database."""

    def __init__(self, task: Task, in_pool: Callable[[Callable[[], Any]], None]) -> None:
        self._task = task
        self._in_pool = in_pool
        self._told = 0
        self._gathered = ""
        self._due: asyncio.TimerHandle | None = None
        self._stored_at = 0.0

    def delta(self, text: str) -> None:
        """Send a piece of the answer to whoever watches."""
        self._gathered += text
        if self._gathered and self._due is None:
            self._due = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._flush)

    def finish(self) -> None:
        """It has said everything; whoever watches gets the end of an answer that it has seen the beginning of."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if self._told:
            self._flush()

    def _flush(self) -> None:
        self._due = None
        if self._gathered:
            # `offset` counts the characters before it.
            hub.send(self._task.live_key, {"event": "delta", "content": self._gathered, "offset": self._told})
            self._told += len(self._gathered)
            self._gathered = ""

    def progress(self, fraction: float, note: str = "") -> None:
        """Send it to whoever watches, and store it at most once a second."""
        hub.send(self._task.live_key, {"event": "progress", "progress": fraction, "message": note})
        if time.monotonic() - self._stored_at >= PROGRESS_EVERY:
            self._stored_at = time.monotonic()
            self._in_pool(lambda: leases.report_progress(self._task, fraction, note))
