"""Opening sessions, saying things in them, taking things back."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from agents_app import dispatch, routing
from agents_app.models import PRIORITIES, Agent, Task
from taskmaster.core.clock import now
from taskmaster.core.errors import InvalidState, NoAgent, NotFound
from taskmaster.core.wakeups import hub
from taskmaster.events.log import record
from taskmaster.orgs.models import Organization

from .models import Message, Session


@transaction.atomic
def open_session(*, org: Organization, agent_type: str, agent: Agent | None, configuration: dict[str, Any]) -> Session:
    """A new conversation with an agent of that type, or with that one agent."""
    session = Session.objects.create(org=org, agent_type=agent_type, agent=agent, **configuration)
    record(org.pk, ("session.created", {"sessionId": session.pk, "agentType": agent_type, "agentId": session.agent_id}))
    return session


@transaction.atomic
def post_message(*, session: Session, content: str, metadata: dict[str, Any]) -> Message:
    """Say something. Raises InvalidState in an expired session, NoAgent where nobody could ever answer."""
    _take_turn(session)
    # Refused before anything is written, also for a message that has to wait.
    agent = _agent_for(session)
    message = Message.objects.create(
        session=session, position=session.message_count, content=content, metadata=metadata
    )
    record(session.org_id, ("message.queued", message.news()))
    if session.active_message_id is None:
        _begin(session, message, agent)
    return message


def _take_turn(session: Session) -> None:
    """Lock the session's row and count the message."""
    fresh = Q(last_activity__gte=now() - timedelta(seconds=settings.SESSION_IDLE_SECONDS)) | Q(
        active_message_id__isnull=False
    )
    open_ = Session.objects.filter(fresh, pk=session.pk, status=Session.ACTIVE, deleted_at=None)
    if not open_.update(message_count=F("message_count") + 1, last_activity=now()):
        if not Session.objects.filter(pk=session.pk, deleted_at=None).exists():
            raise NotFound()
        raise InvalidState("The session has expired.", details=[{"field": "status", "message": Session.EXPIRED}])
    session.refresh_from_db(fields=["message_count", "active_message_id", "agent"])


def _agent_for(session: Session) -> Agent:
    if session.agent and session.agent.deleted_at is None:
        return routing.insist(session.agent)
    if session.agent:
        raise NoAgent("The session's agent was deleted.")
    return routing.choose(org_id=session.org_id, agent_type=session.agent_type, capabilities=session.capabilities)


def _begin(session: Session, message: Message, agent: Agent) -> None:
    """Its turn has come: give it to the agent (under the session's lock)."""
    priority = message.metadata.get("priority")
    context = message.metadata.get("context")
    task = dispatch.submit(
        agent=agent,
        type="message",
        description=message.content,
        priority=priority if isinstance(priority, str) and priority in PRIORITIES else "normal",
        context=context if isinstance(context, dict) else {},
        origin="message",
        origin_id=message.pk,
        session_id=session.pk,
        session_limit=session.max_concurrent_tasks,
    )
    message.task_id = task.pk
    Message.objects.filter(pk=message.pk).update(task_id=task.pk)
    session.active_message_id = message.pk
    Session.objects.filter(pk=session.pk).update(active_message_id=message.pk)


def begin_next(session_id: str) -> None:
    """The turn of the session's next message, if one waits (in a transaction)."""
    Session.objects.filter(pk=session_id).update(active_message_id=None, last_activity=now())
    session = Session.objects.select_related("agent").get(pk=session_id)
    for message in session.messages.filter(status=Message.QUEUED).order_by("position").iterator(chunk_size=1):
        try:
            return _begin(session, message, _agent_for(session))
        except NoAgent as error:
            end_message(message, Message.FAILED, error=str(error), error_code=error.code)
    return None


def end_message(message: Message, status: str, **changes: Any) -> bool:
    """End a message and tell whoever waits for it; False where it has ended already (in a transaction)."""
    if not message.try_move(status, finished_at=now(), **changes):
        return False
    outcome = {
        Message.COMPLETED: {"response": message.response},
        Message.FAILED: {"error": message.error, "code": message.error_code},
        Message.CANCELLED: {},
    }[status]
    record(message.session.org_id, (f"message.{status}", message.news(**outcome)))
    hub.send_on_commit(f"message:{message.pk}")
    return True


def cancel_message(message: Message) -> Message:
    """Take a message back; what runs for it is stopped. Raises InvalidState where it has ended."""
    with transaction.atomic():
        # While the session's row is held, no waiting message's turn can come.
        Session.objects.filter(pk=message.session_id).update(last_activity=now())
        message.refresh_from_db()
        if not message.task_id and not end_message(message, Message.CANCELLED):
            message.move_to(Message.CANCELLED)
    # A task's end takes its row before its session's, so this must not hold the session.
    if message.task_id and message.status in Message.FINISHED:
        message.move_to(Message.CANCELLED)
    elif message.task_id:
        dispatch.cancel(Task.objects.get(pk=message.task_id))
    message.refresh_from_db()
    return message


def delete_session(session: Session) -> None:
    """End a session for good: whatever is unfinished is cancelled. Raises NotFound for whoever comes second."""
    with transaction.atomic():
        if not Session.objects.filter(pk=session.pk, deleted_at=None).update(deleted_at=now()):
            raise NotFound()
        for message in session.messages.exclude(status__in=Message.FINISHED):
            end_message(message, Message.CANCELLED)
        record(session.org_id, ("session.deleted", {"sessionId": session.pk}))
    # After the commit, since a task's end takes its row before its session's. The sweep does the same.
    cancel_tasks_of(session.pk)


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


def task_limit(org_id: str, session_id: str) -> int:
    """How many tasks of this session may run at once. Raises NotFound, or InvalidState where it has expired."""
    session = Session.objects.filter(pk=session_id, org_id=org_id, deleted_at=None).first()
    if session is None:
        raise NotFound("There is no such session.")
    if session.shown_status == Session.EXPIRED:
        raise InvalidState("The session has expired.", details=[{"field": "status", "message": Session.EXPIRED}])
    return session.max_concurrent_tasks
