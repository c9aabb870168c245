"""Sessions and messages over REST."""

from django.db.models import Prefetch
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from agents_app import spending
from agents_app.models import AGENT_TYPES, Agent, Task
from taskmaster.api.envelope import Reply, reply, wants_problem
from taskmaster.api.paging import Order, page
from taskmaster.api.views import ApiViewSet, optional_body
from taskmaster.core.errors import ValidationFailed
from taskmaster.core.prepared import Select, Slot

from . import described, lifecycle, talking
from .models import LiveSocket, Message, Session
from .serializers import MessageIn, SessionIn, SessionPatch
from .waiting import answer, location, wait_for

IN_ORDER = Order("position", number=True)

_SESSION = Select(
    lambda: Session.objects.select_related("agent").filter(pk=Slot("pk"), org=Slot("org"), deleted_at=None)
)
_MESSAGE = Select(
    lambda: Message.objects.select_related("session").filter(
        pk=Slot("pk"), session=Slot("session"), session__org=Slot("org"), session__deleted_at=None
    )
)
_AGENT = Select(lambda: Agent.objects.filter(pk=Slot("pk"), org=Slot("org"), deleted_at=None, internal=False))


class SessionViewSet(ApiViewSet):
    """`/sessions`."""

    bodies = {"create": SessionIn, "partial_update": SessionPatch}

    @extend_schema(parameters=described.SESSIONS)
    def list(self, request: Request) -> Reply:
        """Newest first; `status` and `agentType` narrow it."""
        present = Prefetch("live_sockets", LiveSocket.open(), to_attr="seen")
        rows = Session.objects.filter(org=self.org, deleted_at=None).prefetch_related(present)
        if status := chosen(request, "status", (Session.ACTIVE, Session.EXPIRED)):
            rows = rows.filter(Session.shown_as(status))
        if agent_type := chosen(request, "agentType", AGENT_TYPES):
            rows = rows.filter(agent_type=agent_type)
        return page(request, rows, name="sessions", show=Session.public)

    def create(self, request: Request) -> Reply:
        """Open a session."""
        body = self.body()
        agent = self._pinned(body.get("agent_id"), body["agent_type"])
        session = lifecycle.open_session(
            org=self.org, agent_type=body["agent_type"], agent=agent, configuration=body.get("configuration", {})
        )
        return reply({"session": session.public()}, 201, location=f"/api/v1/sessions/{session.pk}")

    def retrieve(self, request: Request, pk: str) -> Reply:
        """One session, with what it has used."""
        session = self.find(_SESSION, pk).look_around()
        return reply({"session": session.public() | {"usage": spending.used(session_id=session.pk).public()}})

    def partial_update(self, request: Request, pk: str) -> Reply:
        """Change its configuration."""
        session = self.find(_SESSION, pk)
        changes = self.body()["configuration"]
        if changes:
            Session.objects.filter(pk=session.pk).update(**changes)
            session.refresh_from_db()
        session.look_around()
        if {"max_concurrent_tasks", "token_budget"} & changes.keys():
            unfinished = Task.objects.filter(session_id=session.pk, status__in=Task.UNFINISHED)
            unfinished.update(**session.limits())
        return reply({"session": session.public()})

    def destroy(self, request: Request, pk: str) -> Reply:
        """End it for good."""
        lifecycle.delete_session(self.find(_SESSION, pk))
        return reply({"message": "Session deleted"})

    def _pinned(self, agent_id: str | None, agent_type: str) -> Agent | None:
        if agent_id is None:
            return None
        agent = self.find(_AGENT, agent_id)
        if agent.type != agent_type:
            raise ValidationFailed.of("agentId", f"that agent is of the type {agent.type}")
        return agent


class MessageViewSet(ApiViewSet):
    """`/sessions/{id}/messages`."""

    bodies = {"create": MessageIn}

    @extend_schema(parameters=described.MESSAGES)
    def list(self, request: Request, session_pk: str) -> Reply:
        """In the order in which they are answered; `status` narrows it."""
        rows = self.find(_SESSION, session_pk).messages.all()
        if status := chosen(request, "status", Message.STATUSES):
            rows = rows.filter(status=status)
        return page(request, rows, name="messages", order=IN_ORDER, show=Message.public)

    @extend_schema(parameters=described.ASKED, responses=described.ANSWERED)
    def create(self, request: Request, session_pk: str) -> Reply:
        """Say something, and wait for the answer as long as the session's `timeout` allows."""
        session = self.find(_SESSION, session_pk)
        body = self.body()
        streams, at_once = self.streams(request), "respond-async" in request.headers.get("Prefer", "").lower()
        message = talking.post_message(
            session=session, content=body["content"], metadata=body.get("metadata") or {}, told=streams or at_once
        )
        response = answer(message)
        if streams:
            response.wait = wait_for(message, session.timeout, streams=True)
        elif at_once:
            response["Preference-Applied"] = "respond-async"
        else:
            response.wait = wait_for(message, session.timeout, as_problem=wants_problem(request._request))
        return response

    def retrieve(self, request: Request, session_pk: str, pk: str) -> Reply:
        """One message."""
        return reply({"message": self._message(session_pk, pk).public()})

    def cancel(self, request: Request, session_pk: str, pk: str) -> Reply:
        """Take it back."""
        optional_body(request._request)
        message = talking.cancel_message(self._message(session_pk, pk))
        return reply({"message": message.public()}, location=location(message))

    def _message(self, session_pk: str, pk: str) -> Message:
        return self.find(_MESSAGE, pk, session=session_pk)


def chosen(request: Request, name: str, choices: tuple[str, ...]) -> str | None:
    """What the query asks for by this name, if it does. Raises ValidationFailed for what there is not."""
    value: str | None = request.GET.get(name)
    if value is not None and value not in choices:
        raise ValidationFailed.of(name, f"one of {', '.join(choices)}")
    return value
