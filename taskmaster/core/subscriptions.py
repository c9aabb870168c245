"""Who reacts to what, inside the transaction in which it happens: the one way for news to travel upwards."""

from typing import Any

from django.utils.module_loading import import_string

SUBSCRIPTIONS: dict[str, tuple[str, ...]] = {
    "organization.created": ("agents_app.registry.create_default_agents",),
    "task.started": ("sessions_app.answering.task_started",),
    "task.completed": ("sessions_app.answering.task_ended", "workflows_app.answering.task_ended"),
    "task.failed": ("sessions_app.answering.task_ended", "workflows_app.answering.task_ended"),
    "task.cancelled": ("sessions_app.answering.task_ended", "workflows_app.answering.task_ended"),
    "action.approval.decided": ("workflows_app.approvals.decided",),
    "task.over": ("agents_app.actions.expire_of",),
    "budget.raised": ("sessions_app.lifecycle.raise_budget",),
}

# Who knows the conversation before a task, by the task's origin.
CONVERSATIONS: dict[str, str] = {"message": "sessions_app.conversation.before_task"}

# How a wait whose interim answer was stored is taken up again, by the first part of its key.
RESUMED_WAITS: dict[str, str] = {"message": "sessions_app.waiting.resume"}

# Who knows how many tasks of a session may run at once, how many tokens they may use, and what its agents may do.
SESSION_LIMITS = "sessions_app.lifecycle.limits_of"
PERMISSION_MODE = "sessions_app.lifecycle.permission_mode"
# Who decides a workflow's approval step.
SIGNAL = "workflows_app.signals.signal"


def notify(happened: str, subject: Any) -> None:
    """Call everybody who reacts to it, in the caller's transaction."""
    for path in SUBSCRIPTIONS.get(happened, ()):
        import_string(path)(subject)


def conversation(origin: str, subject: Any) -> list[tuple[str, str]]:
    """The earlier turns, as (role, content), oldest first."""
    path = CONVERSATIONS.get(origin)
    return import_string(path)(subject) if path else []


def can_resume(key: str) -> bool:
    """Whether a wait with this key can be taken up again."""
    return key.partition(":")[0] in RESUMED_WAITS


def resume_wait(key: str) -> Any:
    """The wait with this key, such as `message:msg_…`, begun anew."""
    kind, _, subject = key.partition(":")
    return import_string(RESUMED_WAITS[kind])(subject)


def session_limits(org_id: str, session_id: str) -> dict[str, int | None]:
    """What a task of this session must keep to. Raises NotFound, or InvalidState where the session is closed."""
    limits: dict[str, int | None] = import_string(SESSION_LIMITS)(org_id, session_id)
    return limits


def permission_mode(session_id: str) -> str:
    """default, acceptEdits or plan."""
    mode: str = import_string(PERMISSION_MODE)(session_id)
    return mode


def signal(*, org_id: str, workflow_id: str, step_id: str, approved: bool, data: Any, by: str) -> dict[str, Any]:
    """Decide an approval step of a workflow: the step as it is then. Raises NotFound or InvalidState."""
    step: dict[str, Any] = import_string(SIGNAL)(
        org_id=org_id, workflow_id=workflow_id, step_id=step_id, approved=approved, data=data, by=by
    )
    return step
