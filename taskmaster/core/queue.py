"""Sending work to the Celery workers, always after the commit of the transaction that made it."""

import logging
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

from celery import Task
from django.db import transaction

logger = logging.getLogger(__name__)

# The same wake-up so many times at once, then so many a second: one agent's flood must not queue up before another's.
BURST, A_SECOND = 50.0, 200.0
MOST_KEYS = 10_000

Args = tuple[Any, ...]


def enqueue(task: "Task[Any, Any]", *args: Any) -> None:
    """Wake a worker once the current transaction has committed. Wake-ups that say the same may travel as one.

    The row is the truth and a sweep stands behind every wake-up, so a broker that is away never fails a request.
    """
    transaction.on_commit(partial(sluice.send, task, args))


@dataclass(slots=True)
class _Flow:
    """One wake-up's share: what may still pass at once, and whether a late one is due already."""

    left: float
    at: float
    late: bool = False


class Sluice:
    """Lets the first of a burst pass at once; those beyond travel together, a moment later. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flows: dict[tuple[str, Args], _Flow] = {}

    def send(self, task: "Task[Any, Any]", args: Args) -> None:
        """Send it now or soon."""
        pause = self._pause((task.name or "", args))
        if pause == 0:
            _send(task, args)
        elif pause is not None:
            late = threading.Timer(pause, self._send_late, [task, args])
            late.daemon = True
            late.start()

    def _pause(self, key: tuple[str, Args]) -> float | None:
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

    def _send_late(self, task: "Task[Any, Any]", args: Args) -> None:
        with self._lock:
            flow = self._flows.get((task.name or "", args))
            if flow:
                flow.late, flow.left = False, flow.left - 1
        _send(task, args)


sluice = Sluice()


def _send(task: "Task[Any, Any]", args: Args) -> None:
    try:
        task.apply_async(args=args, retry=False, ignore_result=True)
    except Exception as error:
        logger.warning(
            "wake-up not sent, the sweep will repeat it: %s", type(error).__name__, extra={"task": task.name}
        )
