"""A run of a template."""

from typing import Any

from django.db import models
from django.db.models import Q

from agents_app.models import PRIORITIES
from taskmaster.core.clock import iso, now
from taskmaster.core.fields import JsonField
from taskmaster.core.ids import LENGTH, id_factory
from taskmaster.core.states import StateMachine
from taskmaster.orgs.models import Organization


class Workflow(StateMachine):
    """A run of a template, from its making to its end.

        created ──▶ running ◀──▶ paused
           │         │  │  ▲       │
           │         │  │  └─retry─┼── failed
           │         │  └──────────┼──▶ failed, completed
           └─────────┴─────────────┴──▶ cancelled

    The row is the lock of everything that happens to its steps. `left` counts the steps that have not ended, or were
    called off.
    """

    CREATED, RUNNING, PAUSED = "created", "running", "paused"
    COMPLETED, FAILED, CANCELLED = "completed", "failed", "cancelled"
    STATUSES = (CREATED, RUNNING, PAUSED, COMPLETED, FAILED, CANCELLED)
    STARTED = (RUNNING, PAUSED)
    FINISHED = (COMPLETED, FAILED, CANCELLED)
    MOVES = {
        RUNNING: (CREATED, PAUSED, FAILED),
        PAUSED: (RUNNING,),
        COMPLETED: (RUNNING,),
        FAILED: (RUNNING,),
        CANCELLED: (CREATED, RUNNING, PAUSED),
    }

    id = models.CharField(primary_key=True, max_length=LENGTH, default=id_factory("workflow"), editable=False)
    org = models.ForeignKey(Organization, models.CASCADE, db_index=False, related_name="workflows")
    template_key = models.CharField(max_length=64)
    template_version = models.PositiveIntegerField(default=1)
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=16, default=CREATED)
    context = JsonField(default=dict)
    step_data = JsonField(default=dict)
    priority = models.PositiveSmallIntegerField(null=True, blank=True)
    timeout = models.PositiveBigIntegerField(
        null=True, help_text="Milliseconds of running; paused time is not counted."
    )
    notifications = models.BooleanField(default=True, help_text="Whether webhooks are told of it.")
    total = models.PositiveIntegerField(default=0)
    left = models.PositiveIntegerField(default=0)
    error = models.TextField(null=True)
    # What started it, where that was nobody over REST.
    schedule_id = models.CharField(max_length=LENGTH, null=True, blank=True)
    trigger_id = models.CharField(max_length=LENGTH, null=True, blank=True)
    created_at = models.DateTimeField(default=now)
    started_at = models.DateTimeField(null=True)
    paused_at = models.DateTimeField(null=True)
    resumed_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["org", "-id"], name="workflow_of_org"),
            models.Index(fields=["org", "status", "-id"], name="workflow_by_status"),
            models.Index(fields=["org", "template_key", "-finished_at"], name="workflow_history"),
            models.Index(
                fields=["schedule_id", "status", "id"],
                name="workflow_of_schedule",
                condition=Q(schedule_id__isnull=False),
            ),
            models.Index(
                fields=["trigger_id", "id"], name="workflow_of_trigger", condition=Q(trigger_id__isnull=False)
            ),
            models.Index(fields=["finished_at"], name="workflow_age", condition=Q(finished_at__isnull=False)),
            models.Index(fields=["deadline_at"], name="workflow_deadline", condition=Q(status="running")),
            models.Index(fields=["id"], name="workflow_running", condition=Q(status="running")),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.id}"

    @property
    def progress(self) -> float:
        """How far it is, 0 to 1."""
        return round(1 - self.left / self.total, 4) if self.total else 0.0

    @property
    def priority_name(self) -> str | None:
        """The default of its tasks, if it has one."""
        return None if self.priority is None else list(PRIORITIES)[self.priority]

    def news(self, **more: Any) -> dict[str, Any]:
        """What every event about it says."""
        about = {"workflowId": self.id, "templateId": self.template_key, "name": self.name, "status": self.status}
        return about | more

    def public(self) -> dict[str, Any]:
        """The workflow as lists show it: without its steps."""
        return {
            "id": self.id,
            "templateId": self.template_key,
            "templateVersion": self.template_version,
            "name": self.name,
            "status": self.status,
            "progress": self.progress,
            "error": self.error,
            "scheduleId": self.schedule_id,
            "triggerId": self.trigger_id,
            "context": self.context,
            "stepData": self.step_data,
            "executionContext": {
                "priority": self.priority_name,
                "timeout": self.timeout,
                "notifications": self.notifications,
            },
            "createdAt": iso(self.created_at),
            "startedAt": iso(self.started_at),
            "pausedAt": iso(self.paused_at),
            "resumedAt": iso(self.resumed_at),
            "finishedAt": iso(self.finished_at),
        }
