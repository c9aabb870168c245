"""Conversations with agents."""

from datetime import timedelta
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from agents_app.models import AGENT_TYPES, Agent
from taskmaster.core.clock import iso, now
from taskmaster.core.fields import JsonField
from taskmaster.core.ids import LENGTH, id_factory
from taskmaster.core.states import StateMachine
from taskmaster.orgs.models import Organization

from .live import LiveServer, LiveSocket

__all__ = ["PERMISSION_MODES", "LiveServer", "LiveSocket", "Message", "Session"]

PERMISSION_MODES = ("default", "acceptEdits", "plan")


class Session(models.Model):
    """A conversation. Its messages are answered one at a time: `active_message_id` is the one whose turn it is.

    Every change of the queue takes the row first, which is what keeps the order.
    """

    ACTIVE, EXPIRED = "active", "expired"

    id = models.CharField(primary_key=True, max_length=LENGTH, default=id_factory("session"), editable=False)
    org = models.ForeignKey(Organization, models.CASCADE, db_index=False, related_name="sessions")
    agent_type = models.CharField(max_length=16, choices=[(kind, kind) for kind in AGENT_TYPES])
    agent = models.ForeignKey(Agent, models.SET_NULL, null=True, blank=True, related_name="+")
    capabilities = JsonField(default=list)
    timeout = models.PositiveIntegerField(default=30_000)
    max_concurrent_tasks = models.PositiveIntegerField(default=5)
    permission_mode = models.CharField(max_length=16, default="default", choices=[(m, m) for m in PERMISSION_MODES])
    token_budget = models.PositiveBigIntegerField(null=True, blank=True)
    status = models.CharField(max_length=16, default=ACTIVE, choices=[(s, s) for s in (ACTIVE, EXPIRED)])
    message_count = models.PositiveIntegerField(default=0)
    active_message_id = models.CharField(max_length=LENGTH, null=True, blank=True)
    created_at = models.DateTimeField(default=now)
    last_activity = models.DateTimeField(default=now)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["org", "-id"], name="session_of_org", condition=Q(deleted_at=None)),
            models.Index(fields=["last_activity"], name="session_idle", condition=Q(status="active", deleted_at=None)),
        ]

    def __str__(self) -> str:
        return self.id

    @classmethod
    def idle(cls) -> Q:
        """Those that nobody has used for so long that they expire."""
        limit = now() - timedelta(seconds=settings.SESSION_IDLE_SECONDS)
        return Q(status=cls.ACTIVE, last_activity__lt=limit, active_message_id=None)

    @classmethod
    def shown_as(cls, status: str) -> Q:
        """Those that show this status."""
        stored = Q(status=status)
        return stored | cls.idle() if status == cls.EXPIRED else stored & ~cls.idle()

    @property
    def shown_status(self) -> str:
        """active or expired, also in the moment before the sweep comes."""
        limit = now() - timedelta(seconds=settings.SESSION_IDLE_SECONDS)
        expired = self.active_message_id is None and self.last_activity < limit
        return self.EXPIRED if expired else self.status

    def look_around(self) -> Self:
        """See which sockets are open."""
        vars(self)["seen"] = list(LiveSocket.open().filter(session=self))
        return self

    def limits(self) -> dict[str, int | None]:
        """What each of its tasks is told of them."""
        return {"session_limit": self.max_concurrent_tasks, "session_budget": self.token_budget}

    def configuration(self) -> dict[str, Any]:
        """The configuration as the API shows it."""
        return {
            "capabilities": self.capabilities,
            "timeout": self.timeout,
            "maxConcurrentTasks": self.max_concurrent_tasks,
            "permissionMode": self.permission_mode,
            "tokenBudget": self.token_budget,
        }

    def public(self) -> dict[str, Any]:
        """The session as the API shows it."""
        sockets: list[LiveSocket] = getattr(self, "seen", [])  # Where somebody has looked.
        return {
            "id": self.id,
            "agentType": self.agent_type,
            "agentId": self.agent_id,
            "status": self.shown_status,
            "configuration": self.configuration(),
            "createdAt": iso(self.created_at),
            "lastActivity": iso(self.last_activity),
            "webSocketCount": len(sockets),
            "eventSubscriptions": sorted({name for socket in sockets for name in socket.names}),
        }


class Message(StateMachine):
    """One thing said to the agent, and what it answered."""

    QUEUED, PROCESSING = "queued", "processing"
    COMPLETED, FAILED, CANCELLED = "completed", "failed", "cancelled"
    FINISHED = (COMPLETED, FAILED, CANCELLED)
    STATUSES = (QUEUED, PROCESSING, *FINISHED)
    MOVES = {
        PROCESSING: (QUEUED,),
        COMPLETED: (QUEUED, PROCESSING),
        FAILED: (QUEUED, PROCESSING),
        CANCELLED: (QUEUED, PROCESSING),
    }

    id = models.CharField(primary_key=True, max_length=LENGTH, default=id_factory("msg"), editable=False)
    session = models.ForeignKey(Session, models.CASCADE, db_index=False, related_name="messages")
    position = models.PositiveIntegerField()
    content = models.TextField()
    metadata = JsonField(default=dict)
    status = models.CharField(max_length=16, default=QUEUED)
    response = JsonField(null=True)
    error = models.TextField(null=True)
    error_code = models.CharField(max_length=64, blank=True)
    task_id = models.CharField(max_length=LENGTH, blank=True, help_text="Empty until its turn has come.")
    created_at = models.DateTimeField(default=now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["session", "position"], name="message_position")]
        indexes = [
            models.Index(fields=["session", "position"], name="message_waiting", condition=Q(status="queued")),
            models.Index(fields=["created_at"], name="message_age"),
        ]

    def __str__(self) -> str:
        return self.id

    def news(self, **more: Any) -> dict[str, Any]:
        """What every event about it says."""
        return {"messageId": self.id, "sessionId": self.session_id} | more

    def public(self) -> dict[str, Any]:
        """The message as the API shows it."""
        return {
            "id": self.id,
            "sessionId": self.session_id,
            "content": self.content,
            "metadata": self.metadata,
            "response": self.response,
            "status": self.status,
            "error": self.error,
            "timestamp": iso(self.created_at),
        }
