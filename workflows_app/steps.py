"""What becomes of a step. Its workflow's row is held by whoever calls these, and counts the ends."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import models

from taskmaster.core.clock import iso, now
from taskmaster.core.inserts import insert
from taskmaster.core.prepared import Slot, Update
from taskmaster.events.log import record

from .models import StepAttempt, Workflow, WorkflowStep


def _slots(**fields: Any) -> dict[str, Any]:
    return {name: Slot(name, field) for name, field in fields.items()}


def _move(target: str, **changes: Any) -> Update:
    return Update(
        lambda: WorkflowStep.objects.filter(
            pk=Slot("pk", models.BigIntegerField()), status__in=WorkflowStep.MOVES[target]
        ),
        status=target,
        wake_at=None,
        **changes,
    )


_WHOLE, _TIME, _TEXT = models.IntegerField(), models.DateTimeField(), models.TextField()
_RUN = _move(WorkflowStep.RUNNING, progress=0.0, error=None, **_slots(attempt=_WHOLE, task_id=_TEXT, started_at=_TIME))
_COMPLETE = _move(
    WorkflowStep.COMPLETED,
    progress=1.0,
    error=None,
    **_slots(result=_TEXT, gate=models.BooleanField(), started_at=_TIME, finished_at=_TIME),
)
_CLOSE = Update(
    lambda: StepAttempt.objects.filter(
        step=Slot("step", models.BigIntegerField()), number=Slot("number", _WHOLE), finished_at=None
    ),
    **_slots(status=_TEXT, error=_TEXT, finished_at=_TIME),
)


def run(step: WorkflowStep, workflow: Workflow, *, task_id: str = "") -> None:
    """It runs: its next attempt begins."""
    moment = now()
    began, number = step.started_at or moment, step.attempt + 1
    _RUN.later(pk=step.pk, attempt=number, task_id=task_id, started_at=began)
    step.status, step.attempt, step.task_id, step.started_at = WorkflowStep.RUNNING, number, task_id, began
    step.wake_at, step.progress, step.error = None, 0.0, None
    insert([StepAttempt(step=step, number=number, status=step.status, task_id=task_id, started_at=moment)])
    record(workflow.org_id, ("workflow.step.started", step.news(attempt=number)))


def wait(step: WorkflowStep, workflow: Workflow, *, until: datetime) -> None:
    """It waits for a time."""
    step.move_to(WorkflowStep.WAITING, started_at=step.started_at or now(), wake_at=until)
    record(workflow.org_id, ("workflow.step.waiting", step.news(prompt=None, until=iso(until))))


def ask(step: WorkflowStep, workflow: Workflow, *, prompt: str, until: datetime | None) -> None:
    """It waits for a person, in its next attempt."""
    moment = now()
    began, number = step.started_at or moment, step.attempt + 1
    step.move_to(WorkflowStep.WAITING, started_at=began, wake_at=until, attempt=number)
    insert([StepAttempt(step=step, number=number, status=step.status, started_at=moment)])
    record(workflow.org_id, ("workflow.step.waiting", step.news(prompt=prompt, until=iso(until))))


def complete(step: WorkflowStep, workflow: Workflow, result: Any, *, gate: bool | None = None) -> None:
    """It has ended well."""
    moment = now()
    stored = None if result is None else orjson.dumps(result).decode()
    began = step.started_at or moment
    _COMPLETE.later(pk=step.pk, result=stored, gate=gate, started_at=began, finished_at=moment)
    step.status, step.result, step.gate, step.finished_at = WorkflowStep.COMPLETED, result, gate, moment
    step.progress, step.wake_at, step.error, step.started_at = 1.0, None, None, began
    _close_attempt(step, moment)
    record(workflow.org_id, ("workflow.step.completed", step.news(result=result, duration=step.duration or 0)))


def fail(step: WorkflowStep, workflow: Workflow, error: str, *, code: str) -> None:
    """It has failed for good."""
    moment = now()
    step.move_to(WorkflowStep.FAILED, error=error, error_code=code[:64], finished_at=moment, wake_at=None)
    _close_attempt(step, moment)
    record(workflow.org_id, ("workflow.step.failed", step.news(error=error, code=code, duration=step.duration)))


def skip(step: WorkflowStep, workflow: Workflow, reason: str) -> None:
    """It will not run."""
    step.move_to(WorkflowStep.SKIPPED, error=None, finished_at=now())
    record(workflow.org_id, ("workflow.step.skipped", step.news(reason=reason)))


def try_later(step: WorkflowStep, workflow: Workflow, error: str) -> datetime:
    """This attempt has failed; the next one begins after a pause that doubles each time: when, is returned."""
    moment = now()
    due = moment + pause_after(step.attempt, step.definition)
    step.move_to(WorkflowStep.WAITING, error=error, task_id="", wake_at=due)
    _close_attempt(step, moment, status=WorkflowStep.FAILED)
    record(workflow.org_id, ("workflow.step.waiting", step.news(prompt=None, until=iso(due))))
    return due


def pause_after(attempt: int, definition: Mapping[str, Any]) -> timedelta:
    """How long to wait after the failure of this attempt: twice as long each time, at most an hour."""
    return timedelta(milliseconds=min(int(definition.get("retryDelay", 1_000)) * 2 ** min(attempt - 1, 20), 3_600_000))


def has_another_attempt(step: WorkflowStep) -> bool:
    """Whether it may be tried again."""
    return step.attempt <= int(step.definition.get("retries", 0))


def _close_attempt(step: WorkflowStep, moment: datetime, *, status: str | None = None) -> None:
    if step.attempt:
        _CLOSE.later(
            step=step.pk, number=step.attempt, status=status or step.status, error=step.error, finished_at=moment
        )
