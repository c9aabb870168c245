"""Sending work to the Celery workers, always after the commit of the transaction that made it."""

import logging
from functools import partial
from typing import Any

from celery import Task
from django.db import transaction

logger = logging.getLogger(__name__)


def enqueue(task: "Task[Any, Any]", *args: Any) -> None:
    """Wake a worker once the current transaction has committed.

    The row is the truth and a sweep stands behind every wake-up, so a broker that is away never fails a request.
    """
    transaction.on_commit(partial(_send, task, args))


def _send(task: "Task[Any, Any]", args: tuple[Any, ...]) -> None:
    try:
        task.apply_async(args=args, retry=False, ignore_result=True)
    except Exception as error:
        logger.warning(
            "wake-up not sent, the sweep will repeat it: %s", type(error).__name__, extra={"task": task.name}
        )
