"""Saying things in a session, and taking them back."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce

from agents_app import dispatch, routing
from agents_app.models import PRIORITIES, Agent, Task
from taskmaster.core.bundles import one_transaction
from taskmaster.core.clock import now
from taskmaster.core.database import commit_without_waiting
from taskmaster.core.errors import InvalidState, NoAgent, NotFound
from taskmaster.core.ids import new_id
from taskmaster.core.inserts import insert
from taskmaster.core.prepared import Select, Slot, Update, ask
from taskmaster.core.wakeups import hub
from taskmaster.events.log import record, together

from .models import Message, Session

# Counts a message in, and gives it the turn if nobody has it. Whoever runs this holds the session's row.
_COUNT_IN = Update(
    lambda: Session.objects.filter(
        Q(last_activity__gte=Slot("fresh", models.DateTimeField())) | Q(active_message_id__isnull=False),
        pk=Slot("pk"),
        status=Session.ACTIVE,
        deleted_at=None,
    ),
    message_count=F("message_count") + 1,
    last_activity=Slot("now", models.DateTimeField()),
    active_message_id=Coalesce(F("active_message_id"), Slot("message")),
    returning=("message_count", "active_message_id"),
)
_END = Update(
    lambda: Message.objects.filter(pk=Slot("pk"), status__in=(Message.QUEUED, Message.PROCESSING)),
    status=Slot("status"),
    response=Slot("response"),
    error=Slot("error"),
    error_code=Slot("code"),
    finished_at=Slot("now", models.DateTimeField()),
)
_FREE = Update(
    lambda: Session.objects.filter(pk=Slot("pk"), deleted_at=None),
    active_message_id=None,
    last_activity=Slot("now", models.DateTimeField()),
)
_NEXT = Select(
    lambda: (
        Message.objects.select_related("session__agent")
        .filter(session=Slot("session"), status=Message.QUEUED, session__deleted_at=None)
        .order_by("position")[:1]
    )
)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a message ends."""

    status: str
    response: dict[str, Any] | None = None
    error: str | None = None
    code: str = ""

    def news(self) -> dict[str, Any]:
        """What the event says of it."""
        if self.status == Message.COMPLETED:
            return {"response": self.response}
        return {"error": self.error, "code": self.code} if self.status == Message.FAILED else {}


def post_message(*, session: Session, content: str, metadata: dict[str, Any], told: bool = True) -> Message:
    """Say something. Raises InvalidState in an expired session, NoAgent where nobody could ever answer.

    `told` is whether the caller hears of it before the answer is there: then the commit waits for the disk. A caller
    that waits for the answer has been promised nothing until it comes, and by then the answer's commit has waited.
    """
    with one_transaction(), together():
        if not told:
            commit_without_waiting()
        return _post(session, content, metadata)


def _post(session: Session, content: str, metadata: dict[str, Any]) -> Message:
    message = Message(id=new_id("msg"), session=session, position=0, content=content, metadata=metadata)
    message.position, active = _count_in(session, message)
    # Refused before anything is written, also for a message that has to wait.
    agent = _agent_for(session)
    task = _task_for(message, agent) if active == message.pk else None
    message.task_id = task.pk if task else ""
    insert([message])
    record(session.org_id, ("message.queued", message.news()))
    if task:
        dispatch.submit(task)
    return message


def _count_in(session: Session, message: Message) -> tuple[int, str]:
    """The message's position, and the message whose turn it is."""
    moment = now()
    fresh = moment - timedelta(seconds=settings.SESSION_IDLE_SECONDS)
    counted = _COUNT_IN.one(pk=session.pk, now=moment, fresh=fresh, message=message.pk)
    if counted:
        return counted[0], counted[1]
    if not Session.objects.filter(pk=session.pk, deleted_at=None).exists():
        raise NotFound()
    raise InvalidState("The session has expired.", details=[{"field": "status", "message": Session.EXPIRED}])


def _agent_for(session: Session) -> Agent:
    if session.agent and session.agent.deleted_at is None:
        return routing.insist(session.agent)
    if session.agent:
        raise NoAgent("The session's agent was deleted.")
    return routing.choose(org_id=session.org_id, agent_type=session.agent_type, capabilities=session.capabilities)


def _task_for(message: Message, agent: Agent) -> Task:
    """The work of answering it."""
    session = message.session
    priority = message.metadata.get("priority")
    context = message.metadata.get("context")
    return dispatch.task_for(
        agent,
        type="message",
        description=message.content,
        priority=priority if isinstance(priority, str) and priority in PRIORITIES else "normal",
        context=context if isinstance(context, dict) else {},
        origin="message",
        origin_id=message.pk,
        session_id=session.pk,
        pinned=session.agent_id is not None,
        capabilities=[] if session.agent_id else session.capabilities,
        **session.limits(),
    )


def give_turn(ending: Ending, task: Task) -> None:
    """A task's message ends like this, and it is the turn of its session's next one (in the task's transaction)."""
    session_id, told = task.session_id or "", _Told(task.origin_id, task.session_id or "", task.org_id)
    ended, _, waiting = ask(
        (_END, told.stored(ending)), (_FREE, {"pk": session_id, "now": now()}), (_NEXT, {"session": session_id})
    )
    if ended:
        told.tell(ending)
    while waiting and not _begin(waiting[0]):
        waiting = _NEXT.all(session=session_id)


def _begin(message: Message) -> bool:
    """Have the session's next message answered; False where it failed because nobody ever could."""
    try:
        task = _task_for(message, _agent_for(message.session))
    except NoAgent as error:
        end_message(message, Ending(Message.FAILED, error=str(error), code=error.code))
        return False
    Message.objects.filter(pk=message.pk).update(task_id=task.pk)
    Session.objects.filter(pk=message.session_id).update(active_message_id=message.pk)
    dispatch.submit(task)
    return True


@dataclass(frozen=True, slots=True)
class _Told:
    """The message whose end is told, by ids."""

    message_id: str
    session_id: str
    org_id: str

    def stored(self, ending: Ending) -> dict[str, Any]:
        """The values of its row."""
        response = None if ending.response is None else orjson.dumps(ending.response).decode()
        stored = {"status": ending.status, "response": response, "error": ending.error, "code": ending.code}
        return stored | {"pk": self.message_id, "now": now()}

    def tell(self, ending: Ending) -> None:
        """The event, and whoever waits for it."""
        news = {"messageId": self.message_id, "sessionId": self.session_id} | ending.news()
        record(self.org_id, (f"message.{ending.status}", news))
        hub.send_on_commit(f"message:{self.message_id}")


def end_message(message: Message, ending: Ending) -> bool:
    """End a message and tell whoever waits for it; False where it has ended already (in a transaction)."""
    told = _Told(message.pk, message.session_id, message.session.org_id)
    if not _END(**told.stored(ending)):
        return False
    told.tell(ending)
    return True


def cancel_message(message: Message) -> Message:
    """Take a message back; what runs for it is stopped. Raises InvalidState where it has ended."""
    with transaction.atomic():
        # While the session's row is held, no waiting message's turn can come.
        Session.objects.filter(pk=message.session_id).update(last_activity=now())
        message.refresh_from_db()
        if not message.task_id and not end_message(message, Ending(Message.CANCELLED)):
            message.move_to(Message.CANCELLED)
    # A task's end takes its row before its session's, so this must not hold the session.
    if message.task_id and message.status in Message.FINISHED:
        message.move_to(Message.CANCELLED)
    elif message.task_id:
        dispatch.cancel(Task.objects.get(pk=message.task_id))
    message.refresh_from_db()
    return message
