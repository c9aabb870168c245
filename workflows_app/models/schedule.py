"""When workflows start by themselves."""

from typing import Any

from django.db import models
from django.db.models import Q

from taskmaster.core.clock import iso, now
from taskmaster.core.fields import JsonField
from taskmaster.core.ids import LENGTH, id_factory
from taskmaster.orgs.models import Organization

SKIP, QUEUE = "skip", "queue"
OVERLAPS = (SKIP, QUEUE)
WORKFLOW_DATA = "name, context and stepData of its workflows, as the API takes them."
EXECUTION_CONTEXT = "priority, timeout (milliseconds) and notifications, as the API takes them."


class Schedule(models.Model):
    """A cron expression in a time zone, and what it starts.

    `next_run_at` is when it is due, null while it is not enabled: whoever moves it on has the run. `overlap` says what
    happens where the run before has not ended: `skip` leaves this one out, `queue` lets it wait for its turn.
    """

    id = models.CharField(primary_key=True, max_length=LENGTH, default=id_factory("schedule"), editable=False)
    org = models.ForeignKey(Organization, models.CASCADE, db_index=False, related_name="schedules")
    name = models.CharField(max_length=200)
    template_key = models.CharField("template", max_length=64, help_text="A template's id.")
    workflow_data = JsonField(default=dict, blank=True, help_text=WORKFLOW_DATA)
    execution_context = JsonField(default=dict, blank=True, help_text=EXECUTION_CONTEXT)
    cron = models.CharField(
        max_length=100,
        help_text="Minute, hour, day of month, month, day of week; or @hourly, @daily, @weekly, @monthly.",
    )
    time_zone = models.CharField(max_length=64, default="UTC")
    overlap = models.CharField(max_length=8, default=SKIP, choices=[(name, name) for name in OVERLAPS])
    enabled = models.BooleanField(default=True)
    queued = models.BooleanField(default=False, editable=False, help_text="Whether a run waits for its turn.")
    next_run_at = models.DateTimeField(null=True, editable=False)
    last_run_at = models.DateTimeField(null=True, editable=False)
    last_workflow_id = models.CharField(max_length=LENGTH, null=True, editable=False)
    skipped = models.PositiveIntegerField(default=0, editable=False, help_text="Runs that were left out.")
    last_skipped_at = models.DateTimeField(null=True, editable=False)
    last_error = models.TextField(null=True, editable=False, help_text="Why the last run could not be started.")
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["org", "-id"], name="schedule_of_org"),
            models.Index(fields=["next_run_at"], name="schedule_due", condition=Q(next_run_at__isnull=False)),
            models.Index(fields=["id"], name="schedule_queue", condition=Q(queued=True)),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.cron}, {self.time_zone})"

    def public(self) -> dict[str, Any]:
        """The schedule as the API shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "templateId": self.template_key,
            "workflowData": self.workflow_data,
            "executionContext": self.execution_context,
            "cron": self.cron,
            "timeZone": self.time_zone,
            "overlap": self.overlap,
            "enabled": self.enabled,
            "nextRunAt": iso(self.next_run_at),
            "lastRunAt": iso(self.last_run_at),
            "lastWorkflowId": self.last_workflow_id,
            "skipped": self.skipped,
            "lastSkippedAt": iso(self.last_skipped_at),
            "lastError": self.last_error,
            "createdAt": iso(self.created_at),
        }
