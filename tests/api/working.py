"""The worker's side, driven by hand: no worker runs beside the in-process tests."""

from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from agents_app import leases
from agents_app.models import Task
from taskmaster.events.models import Event


def claim(agent_id: str, at_most: int = 1, worker: str = "worker_x") -> list[Task]:
    """What a worker that can run anything is given."""
    return leases.claim(agent_id, worker, at_most, ready=lambda agent: True).tasks


def answer(agent_id: str, content: str = "done", **outcome: Any) -> Task:
    """Claim the next task and complete it."""
    (task,) = claim(agent_id)
    spoken = {"backend": "echo", "model": "echo-1", "tokens_used": 7} | outcome
    assert leases.complete(task, result={"content": content}, **spoken)
    return task


def overdue(task: Task) -> None:
    """As if its worker had not been heard of for a while."""
    Task.objects.filter(pk=task.pk).update(lease_expires_at=Now() - timedelta(seconds=1))


def break_down(agent_id: str, error: str = "it broke", code: str = "agent_failed") -> Task:
    """Claim the next task and fail it."""
    (task,) = claim(agent_id)
    assert leases.fail(task, error=error, code=code)
    return task


def told(org: Any, *prefixes: str) -> list[tuple[str, dict[str, Any]]]:
    """The events of the organization whose type begins with one of these, as (type, data), in the order of writing."""
    rows = Event.objects.filter(org=org).order_by("number")
    return [(row.event_type, row.data) for row in rows if row.event_type.startswith(prefixes)]
