"""Opening, expiring and deleting sessions."""

from typing import Any

from django.db import transaction

from agents_app import dispatch, memories, workspaces
from agents_app.budgets import Raised
from agents_app.models import Agent, Task
from taskmaster.core.clock import now
from taskmaster.core.errors import InvalidState, NotFound
from taskmaster.events.log import record
from taskmaster.orgs.models import Organization

from .models import Message, Session
from .talking import Ending, end_message


@transaction.atomic
def open_session(*, org: Organization, agent_type: str, agent: Agent | None, configuration: dict[str, Any]) -> Session:
    """A new conversation with an agent of that type, or with that one agent."""
    session = Session.objects.create(org=org, agent_type=agent_type, agent=agent, **configuration)
    record(org.pk, ("session.created", {"sessionId": session.pk, "agentType": agent_type, "agentId": session.agent_id}))
    return session


def delete_session(session: Session) -> None:
    """End a session for good: whatever is unfinished is cancelled. Raises NotFound for whoever comes second."""
    with transaction.atomic():
        if not Session.objects.filter(pk=session.pk, deleted_at=None).update(deleted_at=now()):
            raise NotFound()
        for message in session.messages.exclude(status__in=Message.FINISHED):
            end_message(message, Ending(Message.CANCELLED))
        record(session.org_id, ("session.deleted", {"sessionId": session.pk}))
    # After the commit, since a task's end takes its row before its session's. The sweep does the same.
    cancel_tasks_of(session.pk)
    memories.forget(session.pk)
    workspaces.remove(session.org_id, session.pk)


def insist_open(session: Session) -> None:
    """Raises InvalidState where it has expired."""
    if session.shown_status == Session.EXPIRED:
        raise InvalidState("The session has expired.", details=[{"field": "status", "message": Session.EXPIRED}])


def touch(session: Session) -> None:
    """Somebody has changed its files. Raises NotFound where it was deleted meanwhile; they are gone with it."""
    if not Session.objects.filter(pk=session.pk, deleted_at=None).update(last_activity=now()):
        workspaces.remove(session.org_id, session.pk)
        raise NotFound()


def cancel_tasks_of(session_id: str) -> None:
    """Cancel what is unfinished of a deleted session."""
    for task in Task.objects.filter(session_id=session_id, status__in=Task.UNFINISHED):
        try:
            dispatch.cancel(task)
        except InvalidState:
            continue  # It ended by itself.


@transaction.atomic
def expire(session_id: str) -> bool:
    """Close an idle session; its messages can still be read."""
    idle = Session.objects.filter(Session.idle(), pk=session_id, deleted_at=None)
    if not idle.update(status=Session.EXPIRED):
        return False
    org_id = Session.objects.values_list("org_id", flat=True).get(pk=session_id)
    record(org_id, ("session.expired", {"sessionId": session_id}))
    return True


def limits_of(org_id: str, session_id: str) -> dict[str, int | None]:
    """What its tasks must keep to. Raises NotFound, or InvalidState where it has expired."""
    session = Session.objects.filter(pk=session_id, org_id=org_id, deleted_at=None).first()
    if session is None:
        raise NotFound("There is no such session.")
    insist_open(session)
    return session.limits()


def permission_mode(session_id: str) -> str:
    """What its agents may do by themselves."""
    mode = Session.objects.filter(pk=session_id).values_list("permission_mode", flat=True).first()
    return mode or "plan"


def raise_budget(raised: Raised) -> None:
    """Somebody let it use more tokens."""
    Session.objects.filter(pk=raised.subject).update(token_budget=raised.tokens)
