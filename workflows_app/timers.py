"""Waits of seconds end on time: a timer in this process wakes the workflow, and the sweep stands behind it."""

import logging
import threading
from datetime import datetime

from django.db import close_old_connections, transaction

from taskmaster.core.clock import now

logger = logging.getLogger(__name__)

# Longer waits are the sweep's: it looks every two seconds.
LONGEST = 120.0


def wake_at(workflow_id: str, moment: datetime) -> None:
    """Look at the workflow then, if that is soon (after the commit)."""
    transaction.on_commit(lambda: _start(workflow_id, moment))


def _start(workflow_id: str, moment: datetime) -> None:
    seconds = (moment - now()).total_seconds()
    if seconds <= LONGEST:
        timer = threading.Timer(max(0.0, seconds), _wake, [workflow_id])
        timer.daemon = True
        timer.start()


def _wake(workflow_id: str) -> None:
    from .waking import wake

    try:
        wake(workflow_id)
    except Exception as error:
        logger.warning("left for the sweep: %s", type(error).__name__)
    finally:
        close_old_connections()
