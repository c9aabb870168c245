"""A piece of work for an agent."""

from typing import Any

from django.db import models
from django.db.models import Q

from taskmaster.core.clock import iso, milliseconds, now
from taskmaster.core.fields import JsonField
from taskmaster.core.ids import LENGTH, id_factory
from taskmaster.core.states import StateMachine
from taskmaster.orgs.models import Organization

from .agent import Agent

PRIORITIES = {"low": 0, "normal": 1, "high": 2, "urgent": 3}
ORIGINS = ("task", "message", "step")


class Task(StateMachine):
    """A piece of work, from being asked for to its end.

        queued ──claim──▶ running ──▶ completed
         ▲ ▲ ▲               │  ├────▶ failed ────┐
         │ │ └──lost, again──┤  └────▶ cancelled ─┤
         │ └────waiting◀─────┘                    │
         └────────────── retry ───────────────────┘

    A claim gives the row a `lease`, which the holder renews and with which alone it may end the task. `attempts`
    counts the claims; `lost` those whose holder went away without a word.

    A task waits with its lease where its agent asks for a permission, and goes on running after the decision; it
    waits without one where a budget is used up, and queues again once that is raised.
    """

    QUEUED, RUNNING, WAITING = "queued", "running", "waiting"
    COMPLETED, FAILED, CANCELLED = "completed", "failed", "cancelled"
    UNFINISHED = (QUEUED, RUNNING, WAITING)
    FINISHED = (COMPLETED, FAILED, CANCELLED)
    # What a holder may have: with `lease` it is really held.
    HELD = (RUNNING, WAITING)
    MOVES = {
        QUEUED: (RUNNING, WAITING, FAILED, CANCELLED),
        RUNNING: (QUEUED, WAITING),
        WAITING: (QUEUED, RUNNING),
        COMPLETED: HELD,
        FAILED: UNFINISHED,
        CANCELLED: UNFINISHED,
    }

    id = models.CharField(primary_key=True, max_length=LENGTH, default=id_factory("task"), editable=False)
    org = models.ForeignKey(Organization, models.CASCADE, db_index=False, related_name="tasks")
    agent = models.ForeignKey(Agent, models.CASCADE, db_index=False, related_name="tasks")
    pinned = models.BooleanField(default=True, help_text="Whether it must be this agent; any other may be exchanged.")
    capabilities = JsonField(default=list, help_text="What an agent must have that takes it over.")
    # Who asked: the API itself, or a session's message.
    origin = models.CharField(max_length=16, default="task", choices=[(o, o) for o in ORIGINS])
    origin_id = models.CharField(max_length=LENGTH, blank=True)
    session_id = models.CharField(max_length=LENGTH, null=True, blank=True)
    session_limit = models.PositiveIntegerField(null=True, help_text="How many tasks of its session may run at once.")
    session_budget = models.PositiveBigIntegerField(null=True, help_text="How many tokens its session may use.")
    waits_for = models.CharField(max_length=LENGTH, blank=True, help_text="Whose budget it waits for, if any.")
    workflow_id = models.CharField(max_length=LENGTH, null=True, blank=True)
    type = models.CharField(max_length=100)
    description = models.TextField()
    requirements = JsonField(default=list)
    context = JsonField(default=dict)
    priority = models.PositiveSmallIntegerField(default=PRIORITIES["normal"])
    timeout = models.PositiveIntegerField(default=1_800_000, help_text="Milliseconds of running.")
    status = models.CharField(max_length=16, default=QUEUED)
    progress = models.FloatField(default=0)
    result = JsonField(null=True)
    error = models.TextField(null=True)
    error_code = models.CharField(max_length=64, blank=True)
    tokens_used = models.PositiveBigIntegerField(default=0)
    backend = models.CharField(max_length=16, blank=True, help_text="The backend that really ran it.")
    model = models.CharField(max_length=200, null=True)
    truncated = models.BooleanField(default=False)
    attempts = models.PositiveIntegerField(default=0)
    lost = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0, help_text="Passing failures that were tried again.")
    asked = models.PositiveIntegerField(default=0, help_text="How many permissions it asked for.")
    lease = models.CharField(max_length=64, blank=True)
    worker_id = models.CharField(max_length=LENGTH, blank=True)
    lease_expires_at = models.DateTimeField(null=True)
    not_before = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=now)
    assigned_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            # The queue: what an agent does next.
            # `status` is in these for SQLite, which would otherwise take the index of all the agent's tasks.
            models.Index(
                fields=["agent", "status", "-priority", "id"], name="task_queue", condition=Q(status="queued")
            ),
            models.Index(fields=["agent", "id"], name="task_movable", condition=Q(status="queued", pinned=False)),
            models.Index(fields=["agent", "id"], name="task_held", condition=~Q(lease="")),
            models.Index(fields=["lease_expires_at"], name="task_lease_end", condition=~Q(lease="")),
            models.Index(
                fields=["agent", "type", "-finished_at"], name="task_history", condition=Q(status="completed")
            ),
            models.Index(fields=["org", "-id"], name="task_of_org"),
            models.Index(fields=["org", "status", "-id"], name="task_by_status"),
            models.Index(fields=["org", "type", "-id"], name="task_by_type"),
            models.Index(fields=["agent", "-id"], name="task_of_agent"),
            models.Index(fields=["session_id", "-id"], name="task_of_session"),
            models.Index(fields=["workflow_id", "-id"], name="task_of_workflow"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"

    @property
    def live_key(self) -> str:
        """The wake-up key of what it says while it runs."""
        return f"live:{self.origin_id or self.id}"

    @property
    def priority_name(self) -> str:
        """low, normal, high or urgent."""
        return list(PRIORITIES)[self.priority]

    @property
    def duration(self) -> int | None:
        """How long its last attempt ran, in milliseconds."""
        if self.started_at is None or self.finished_at is None:
            return None
        return max(0, milliseconds(self.finished_at - self.started_at))

    def news(self, **more: Any) -> dict[str, Any]:
        """What every event about it says."""
        about = {"taskId": self.id, "agentId": self.agent_id, "type": self.type}
        about |= {"sessionId": self.session_id} if self.session_id else {}
        about |= {"messageId": self.origin_id} if self.origin == "message" else {}
        about |= {"workflowId": self.workflow_id} if self.workflow_id else {}
        return about | more

    def public(self) -> dict[str, Any]:
        """The task as the API shows it."""
        return {
            "id": self.id,
            "type": self.type,
            "description": self.description,
            "requirements": self.requirements,
            "context": self.context,
            "priority": self.priority_name,
            "status": self.status,
            "progress": self.progress,
            "result": self.result,
            "error": self.error,
            "agentId": self.agent_id,
            "sessionId": self.session_id,
            "workflowId": self.workflow_id,
            "attempts": self.attempts,
            "tokensUsed": self.tokens_used,
            "timeout": self.timeout,
            "createdAt": iso(self.created_at),
            "assignedAt": iso(self.assigned_at),
            "startedAt": iso(self.started_at),
            "finishedAt": iso(self.finished_at),
            "duration": self.duration,
        }
