"""A step of a workflow, what it needs, and what was tried."""

from typing import Any

from django.db import models
from django.db.models import Q

from taskmaster.core.clock import iso, milliseconds, now
from taskmaster.core.fields import JsonField
from taskmaster.core.ids import LENGTH
from taskmaster.core.states import StateMachine

from .workflow import Workflow


class WorkflowStep(StateMachine):
    """A step.

        pending ──▶ running ──▶ completed, failed      waiting: for a person, a time, or its next attempt
           │         │   ▲
           │         ▼   │
           │        waiting ──▶ completed, failed
           └──▶ skipped                 (and every state that is not an end ──▶ cancelled)

    It moves only while its workflow's row is held. `definition` is the step as the template has it, overrides included.
    """

    PENDING, RUNNING, WAITING = "pending", "running", "waiting"
    COMPLETED, FAILED, SKIPPED, CANCELLED = "completed", "failed", "skipped", "cancelled"
    LIVE = (RUNNING, WAITING)
    FINISHED = (COMPLETED, FAILED, SKIPPED, CANCELLED)
    MOVES = {
        PENDING: FINISHED,
        RUNNING: (PENDING, WAITING),
        WAITING: (PENDING, RUNNING),
        COMPLETED: (PENDING, *LIVE),
        FAILED: (PENDING, *LIVE),
        SKIPPED: (PENDING,),
        CANCELLED: (PENDING, *LIVE),
    }

    id = models.BigAutoField(primary_key=True)
    workflow = models.ForeignKey(Workflow, models.CASCADE, db_index=False, related_name="steps")
    key = models.CharField(max_length=64)
    position = models.PositiveIntegerField()
    name = models.CharField(max_length=200)
    type = models.CharField(max_length=16)
    definition = JsonField(default=dict)
    status = models.CharField(max_length=16, default=PENDING)
    on_failure = models.CharField(max_length=16, default="fail")
    gate = models.BooleanField(null=True, help_text="What a condition came to.")
    result = JsonField(null=True)
    progress = models.FloatField(default=0)
    error = models.TextField(null=True)
    error_code = models.CharField(max_length=64, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    task_id = models.CharField(max_length=LENGTH, blank=True)
    # A decision that came before the step waited for it.
    signal = JsonField(null=True)
    wake_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workflow", "key"], name="one_step_a_key")]
        indexes = [
            models.Index(fields=["workflow", "position"], name="step_order"),
            models.Index(fields=["wake_at"], name="step_due", condition=Q(status="waiting")),
        ]

    def __str__(self) -> str:
        return f"{self.key} of {self.workflow_id}"

    @property
    def duration(self) -> int | None:
        """Milliseconds from its first start to its end."""
        if self.started_at is None or self.finished_at is None:
            return None
        return max(0, milliseconds(self.finished_at - self.started_at))

    def news(self, **more: Any) -> dict[str, Any]:
        """What every event about it says."""
        about = {"workflowId": self.workflow_id, "stepId": self.key, "name": self.name, "type": self.type}
        about |= {"taskId": self.task_id} if self.task_id else {}
        return about | {"status": self.status} | more

    def public(self) -> dict[str, Any]:
        """The step as the API shows it."""
        return {
            "id": self.key,
            "name": self.name,
            "type": self.type,
            "status": self.status,
            "result": self.result,
            "progress": 1.0 if self.status == self.COMPLETED else self.progress,
            "error": self.error,
            "dependsOn": self.definition.get("dependsOn", []),
            "attempt": self.attempt,
            "taskId": self.task_id or None,
            "startedAt": iso(self.started_at),
            "finishedAt": iso(self.finished_at),
            "duration": self.duration,
        }


class StepLink(models.Model):
    """`step` needs `needs` to have ended."""

    step = models.ForeignKey(WorkflowStep, models.CASCADE, related_name="needs")
    needs = models.ForeignKey(WorkflowStep, models.CASCADE, related_name="dependents")

    def __str__(self) -> str:
        return f"{self.step_id} needs {self.needs_id}"


class StepAttempt(models.Model):
    """One try of a step: its timeline is made of these."""

    step = models.ForeignKey(WorkflowStep, models.CASCADE, db_index=False, related_name="attempts")
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=16)
    task_id = models.CharField(max_length=LENGTH, blank=True)
    error = models.TextField(null=True)
    started_at = models.DateTimeField(default=now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["step", "number"], name="one_attempt_a_number")]

    def __str__(self) -> str:
        return f"{self.number} of {self.step_id}"

    def public(self) -> dict[str, Any]:
        """The attempt as the API shows it."""
        ran = None if self.finished_at is None else max(0, milliseconds(self.finished_at - self.started_at))
        return {
            "number": self.number,
            "status": self.status,
            "taskId": self.task_id or None,
            "error": self.error,
            "startedAt": iso(self.started_at),
            "finishedAt": iso(self.finished_at),
            "duration": ran,
        }


class StepItem(models.Model):
    """One item of a `foreach` step, and the task that works it."""

    step = models.ForeignKey(WorkflowStep, models.CASCADE, db_index=False, related_name="items")
    index = models.PositiveIntegerField()
    value = JsonField(null=True)
    status = models.CharField(max_length=16, default=WorkflowStep.PENDING)
    task_id = models.CharField(max_length=LENGTH, blank=True, db_index=True)
    attempt = models.PositiveIntegerField(default=0)
    result = JsonField(null=True)
    error = models.TextField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["step", "index"], name="one_item_an_index")]

    def __str__(self) -> str:
        return f"{self.index} of {self.step_id}"
