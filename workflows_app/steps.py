"""What becomes of a step. Its workflow's row is held by whoever calls these, and counts the ends."""

from datetime import timedelta
from typing import Any

from taskmaster.core.clock import iso, now
from taskmaster.events.log import record

from .models import StepAttempt, Workflow, WorkflowStep


def run(step: WorkflowStep, workflow: Workflow, *, task_id: str = "") -> None:
    """It runs: its next attempt begins."""
    moment = now()
    changes: dict[str, Any] = {"attempt": step.attempt + 1, "task_id": task_id, "wake_at": None, "progress": 0.0}
    step.move_to(WorkflowStep.RUNNING, started_at=step.started_at or moment, **changes)
    StepAttempt.objects.create(
        step=step, number=step.attempt, status=WorkflowStep.RUNNING, task_id=task_id, started_at=moment
    )
    record(workflow.org_id, ("workflow.step.started", step.news(attempt=step.attempt)))


def wait(step: WorkflowStep, workflow: Workflow, *, until: Any = None, prompt: str | None = None) -> None:
    """It waits: for a person, or for a time."""
    step.move_to(WorkflowStep.WAITING, started_at=step.started_at or now(), wake_at=until)
    record(workflow.org_id, ("workflow.step.waiting", step.news(prompt=prompt, until=iso(until))))


def complete(step: WorkflowStep, workflow: Workflow, result: Any, *, gate: bool | None = None) -> None:
    """It has ended well."""
    step.move_to(
        WorkflowStep.COMPLETED, result=result, gate=gate, progress=1.0, finished_at=now(), wake_at=None, error=None
    )
    _close_attempt(step)
    record(workflow.org_id, ("workflow.step.completed", step.news(result=result, duration=step.duration or 0)))


def fail(step: WorkflowStep, workflow: Workflow, error: str, *, code: str) -> None:
    """It has failed for good."""
    step.move_to(WorkflowStep.FAILED, error=error, error_code=code[:64], finished_at=now(), wake_at=None)
    _close_attempt(step)
    record(workflow.org_id, ("workflow.step.failed", step.news(error=error, code=code, duration=step.duration)))


def skip(step: WorkflowStep, workflow: Workflow, reason: str) -> None:
    """It will not run."""
    step.move_to(WorkflowStep.SKIPPED, error=None, finished_at=now())
    record(workflow.org_id, ("workflow.step.skipped", step.news(reason=reason)))


def try_later(step: WorkflowStep, workflow: Workflow, error: str) -> None:
    """This attempt has failed; the next one begins after a pause that doubles each time."""
    _close_attempt(step, error=error)
    pause = int(step.definition.get("retryDelay", 1_000)) * 2 ** min(step.attempt - 1, 20)
    step.move_to(
        WorkflowStep.WAITING,
        error=error,
        task_id="",
        wake_at=now() + timedelta(milliseconds=min(pause, 3_600_000)),
    )
    record(workflow.org_id, ("workflow.step.waiting", step.news(prompt=None, until=iso(step.wake_at))))


def has_another_attempt(step: WorkflowStep) -> bool:
    """Whether it may be tried again."""
    return step.attempt <= int(step.definition.get("retries", 0))


def _close_attempt(step: WorkflowStep, error: str | None = None) -> None:
    if step.attempt:
        status = step.status if error is None else WorkflowStep.FAILED
        StepAttempt.objects.filter(step=step, number=step.attempt, finished_at=None).update(
            status=status, error=error or step.error, finished_at=now()
        )
