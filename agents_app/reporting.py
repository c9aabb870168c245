"""What a running task tells: pieces of its answer go out live, its progress is stored now and then."""

import time
from collections.abc import Callable
from typing import Any

from taskmaster.core.wakeups import hub

from . import leases
from .models import Task

PROGRESS_EVERY = 1.0


class TaskReporter:
    """The reporter of one attempt. `in_pool` runs a call in a thread that may use the database."""

    def __init__(self, task: Task, in_pool: Callable[[Callable[[], Any]], None]) -> None:
        self._task = task
        self._in_pool = in_pool
        self._told = 0
        self._stored_at = 0.0

    def delta(self, text: str) -> None:
        """Send a piece of the answer to whoever watches; `offset` counts the characters before it."""
        if not text:
            return
        hub.send(self._task.live_key, {"event": "delta", "content": text, "offset": self._told})
        self._told += len(text)

    def progress(self, fraction: float, note: str = "") -> None:
        """Send it to whoever watches, and store it at most once a second."""
        hub.send(self._task.live_key, {"event": "progress", "progress": fraction, "message": note})
        if time.monotonic() - self._stored_at >= PROGRESS_EVERY:
            self._stored_at = time.monotonic()
            self._in_pool(lambda: leases.report_progress(self._task, fraction, note))
