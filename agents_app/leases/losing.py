"""Keeping leases, and taking them from holders that have gone away."""

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from agents_app import actions
from agents_app.models import Task
from taskmaster.events.log import record

from .ending import fail
from .held import expiry, held

# How often a task may lose its worker before it is given up.
MAX_LOST = 5


def renew(worker_id: str, leases: Iterable[tuple[str, str]]) -> set[str]:
    """Renew the leases of these running (task id, lease) pairs. Returns the ids whose lease is still good."""
    ours = dict(leases)
    mine = held().filter(pk__in=ours, worker_id=worker_id)
    if ours:
        # One that somebody is writing to at this moment is renewed the next time: to wait for it, with others of
        # them held, could be to wait for ever.
        with transaction.atomic():
            free = mine.select_for_update(skip_locked=True, no_key=True).values("pk")
            held().filter(pk__in=free, worker_id=worker_id).update(lease_expires_at=expiry())
    return {pk for pk, lease in mine.values_list("pk", "lease") if ours[pk] == lease}


def reap(at_most: int = 200) -> set[str]:
    """Take back the tasks whose lease has run out. Returns the agents that have work again."""
    overdue = held().filter(lease_expires_at__lt=Now())
    return {agent for task in overdue[:at_most] if (agent := lose(task, overdue=True))}


def lose(task: Task, *, overdue: bool) -> str | None:
    """Take a task from a holder that has gone away: back to the queue, or failed where that happened too often.

    Returns its agent's id, or None where the holder was quicker. `overdue` asks that the lease has run out, in the
    same statement that takes it away.
    """
    still: dict[str, Any] = {"lease": task.lease} | ({"lease_expires_at__lt": Now()} if overdue else {})
    with transaction.atomic():
        if task.lost + 1 >= MAX_LOST:
            if not held().filter(pk=task.pk, **still).update(lost=F("lost") + 1):
                return None
            fail(task, error=f"The worker was lost {MAX_LOST} times while it ran this task.", code="worker_lost")
            return task.agent_id
        if not task.try_move(Task.QUEUED, where=still, lease="", not_before=None, lost=F("lost") + 1):
            return None
        actions.expire_of(task)
        record(
            task.org_id, ("task.retrying", task.news(attempt=task.attempts, error="The worker was lost.", retryAfter=0))
        )
    return task.agent_id
