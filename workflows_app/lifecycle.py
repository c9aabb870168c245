"""Starting, pausing, resuming, cancelling, retrying and signalling workflows. Whoever comes second is told."""

from datetime import timedelta
from typing import Any

from django.db import transaction

from agents_app import actions, dispatch
from agents_app.models import Action, Task
from taskmaster.core.clock import now
from taskmaster.core.errors import InvalidState, NotFound, ValidationFailed
from taskmaster.events.log import record, together

from . import approvals, engine, items, timers
from .models import StepLink, Workflow, WorkflowStep
from .variables import Variables


@transaction.atomic
def start(workflow: Workflow, **limits: Any) -> None:
    """Start it, with `priority`, `timeout` and `notifications`. Raises InvalidState unless it was only created."""
    moment = now()
    deadline = moment + timedelta(milliseconds=limits["timeout"]) if limits.get("timeout") else None
    workflow.move_to(
        Workflow.RUNNING, where={"status": Workflow.CREATED}, started_at=moment, deadline_at=deadline, **limits
    )
    record(workflow.org_id, ("workflow.started", workflow.news()))
    _go_on(workflow)


@transaction.atomic
def pause(workflow: Workflow) -> None:
    """Start nothing more; what runs finishes. Raises InvalidState unless it runs."""
    workflow.move_to(Workflow.PAUSED, paused_at=now())
    record(workflow.org_id, ("workflow.paused", workflow.news()))


@transaction.atomic
def resume(workflow: Workflow) -> None:
    """Go on; paused time does not count. Raises InvalidState unless it is paused."""
    moment = now()
    held = engine.locked(workflow.pk)
    if held is not None and held.deadline_at is not None and held.paused_at is not None:
        workflow.deadline_at = held.deadline_at + (moment - held.paused_at)
    workflow.move_to(
        Workflow.RUNNING, where={"status": Workflow.PAUSED}, resumed_at=moment, deadline_at=workflow.deadline_at
    )
    record(workflow.org_id, ("workflow.resumed", workflow.news()))
    for step in WorkflowStep.objects.filter(workflow=workflow, type="foreach", status=WorkflowStep.RUNNING):
        if items.resume(step, workflow, Variables(workflow)):
            engine.after(workflow, step)
    _go_on(workflow)


def cancel(workflow: Workflow) -> None:
    """Call it off: what has not ended is cancelled. Raises InvalidState where it has ended."""
    with transaction.atomic():
        workflow.move_to(Workflow.CANCELLED, finished_at=now(), deadline_at=None)
        end_steps(workflow)
        about = {"duration": engine.duration(workflow)}
        record(
            workflow.org_id,
            ("workflow.cancelled", workflow.news(**about)),
            ("workflow.finished", workflow.news(**about, error=None)),
        )
    let_go(workflow)


def end_steps(workflow: Workflow) -> None:
    """Cancel the steps that have not ended (its row is held)."""
    left = WorkflowStep.objects.filter(workflow=workflow).exclude(status__in=WorkflowStep.FINISHED)
    ended = left.update(status=WorkflowStep.CANCELLED, finished_at=now(), wake_at=None)
    workflow.left -= ended
    Workflow.objects.filter(pk=workflow.pk).update(left=workflow.left)


def let_go(workflow: Workflow) -> None:
    """Cancel the tasks and questions of a workflow that has ended.

    After its commit, since a task's end takes its own row before the workflow's. The sweep does the same.
    """
    for task in Task.objects.filter(workflow_id=workflow.pk, status__in=Task.UNFINISHED):
        try:
            dispatch.cancel(task)
        except InvalidState:
            continue  # It ended by itself.
    approvals.give_up(workflow.pk)


def let_go_of_all() -> None:
    """What a process that was killed did not come to."""
    unfinished = Task.objects.filter(status__in=Task.UNFINISHED, workflow_id__isnull=False).values("workflow_id")
    asked = Action.objects.filter(status=Action.PENDING, workflow_id__isnull=False).values("workflow_id")
    for rows in (unfinished, asked):
        for workflow in Workflow.objects.filter(pk__in=rows, status__in=Workflow.FINISHED)[:200]:
            let_go(workflow)


@transaction.atomic
def retry(workflow: Workflow, from_step: str | None = None) -> None:
    """Run a failed one again from its failed steps, or from one step on; earlier results are kept.

    Raises InvalidState unless it has failed, ValidationFailed where there is no such step.
    """
    moment = now()
    deadline = moment + timedelta(milliseconds=workflow.timeout) if workflow.timeout else None
    fresh = {"finished_at": None, "error": None, "deadline_at": deadline}
    workflow.move_to(Workflow.RUNNING, where={"status": Workflow.FAILED}, **fresh)
    found = list(WorkflowStep.objects.filter(workflow=workflow))
    again = _from(found, from_step) if from_step else {s.pk for s in found if s.status != WorkflowStep.COMPLETED}
    reset: dict[str, Any] = {"status": WorkflowStep.PENDING, "result": None, "gate": None, "error": None, "error_code": ""}
    reset |= {"task_id": "", "signal": None, "wake_at": None, "progress": 0.0, "started_at": None, "finished_at": None}
    WorkflowStep.objects.filter(pk__in=again).update(**reset)
    workflow.left = WorkflowStep.objects.filter(workflow=workflow).exclude(status__in=WorkflowStep.FINISHED).count()
    Workflow.objects.filter(pk=workflow.pk).update(left=workflow.left)
    record(workflow.org_id, ("workflow.started", workflow.news()))
    _go_on(workflow)


def _from(found: list[WorkflowStep], key: str) -> set[int]:
    """That step, and all that depends on it."""
    again = {step.pk for step in found if step.key == key}
    if not again:
        raise ValidationFailed.of("fromStep", f"there is no step {key[:64]!r}")
    links = list(StepLink.objects.filter(step__in=found).values_list("step_id", "needs_id"))
    while more := {step for step, needs in links if needs in again and step not in again}:
        again |= more
    return again


def signal(workflow: Workflow, step_id: str, *, approved: bool, data: Any, by: str) -> WorkflowStep:
    """Decide an approval, now or, where it does not wait yet, as soon as it does.

    Raises NotFound where there is no such step, InvalidState where it is decided or the workflow has ended.
    """
    step = WorkflowStep.objects.filter(workflow=workflow, key=step_id.replace("\0", ""), type="approval").first()
    if step is None:
        raise NotFound("There is no such approval step.")
    question = approvals.pending(step)
    if question is not None:
        actions.decide(question, actions.Verdict(confirmed=approved, by=by, updated_input=data))
    elif not _keep(step, workflow, {"approved": approved, "data": data}):
        step.refresh_from_db()
        raise InvalidState(f"The step is {step.status}.", details=[{"field": "status", "message": step.status}])
    step.refresh_from_db()
    return step


@transaction.atomic
def _keep(step: WorkflowStep, workflow: Workflow, decision: dict[str, Any]) -> bool:
    """Keep a decision that comes before its wait; the first one counts."""
    held = engine.locked(workflow.pk)
    early = WorkflowStep.objects.filter(pk=step.pk, status=WorkflowStep.PENDING)
    if held is None or held.status in Workflow.FINISHED or not early.exists():
        return False
    stored = early.get().signal
    if stored is not None:
        return bool(stored == decision)
    early.update(signal=decision)
    return True


def _go_on(workflow: Workflow) -> None:
    with together():
        engine.advance(workflow.pk)
    if workflow.deadline_at:
        timers.wake_at(workflow.pk, workflow.deadline_at)
    workflow.refresh_from_db()
