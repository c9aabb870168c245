"""Trying a task again that failed or was cancelled."""

from typing import Any

from django.db import transaction

from taskmaster.core.clock import now
from taskmaster.core.errors import InvalidState, NotFound
from taskmaster.core.subscriptions import session_limits
from taskmaster.events.log import record

from . import dispatch, routing
from .models import Agent, Task

# Whose task cannot be tried again by itself, and what can be done instead.
INSTEAD = {
    "message": "The task is a message's: send another message.",
    "step": "The task is a workflow's: retry the workflow.",
}


@transaction.atomic
def retry(task: Task) -> Task:
    """Queue a failed or cancelled task again, with its attempts counted on.

    Raises InvalidState for any other and where its session is gone or closed, and NoAgent where none could take what no
    particular agent was to do.
    """
    _insist_on_its_own(task)
    fresh: dict[str, Any] = {"result": None, "error": None, "error_code": "", "progress": 0, "lost": 0, "failures": 0}
    fresh |= {"started_at": None, "finished_at": None, "not_before": None, "waits_for": "", "assigned_at": now()}
    fresh |= {"agent": _agent_for(task)} | _limits_now(task)
    task.move_to(Task.QUEUED, where={"status__in": (Task.FAILED, Task.CANCELLED)}, **fresh)
    record(task.org_id, ("task.queued", task.news(priority=task.priority_name)))
    dispatch.wake(task.agent)
    return task


def _insist_on_its_own(task: Task) -> None:
    if task.origin in INSTEAD:
        raise InvalidState(INSTEAD[task.origin], details=[{"field": "status", "message": task.status}])


def _limits_now(task: Task) -> dict[str, int | None]:
    """Its session's, which may have changed; in a session that is gone or closed nothing begins any more."""
    try:
        return session_limits(task.org_id, task.session_id) if task.session_id else {}
    except NotFound as gone:
        raise InvalidState("The task's session is gone.", details=[{"field": "sessionId", "message": "gone"}]) from gone


def _agent_for(task: Task) -> Agent:
    """The one it had, or another where that is gone and need not be the one."""
    if task.agent.deleted_at is None:
        return task.agent
    if task.pinned:
        gone = "The task was given to an agent that is deleted: submit it to another."
        raise InvalidState(gone, details=[{"field": "status", "message": task.status}])
    return routing.choose(org_id=task.org_id, agent_type=task.agent.type, capabilities=task.capabilities)
