"""Starting, pausing, resuming, cancelling, retrying and signalling workflows. Whoever comes second is told."""

from datetime import timedelta
from typing import Any

from django.db import models, transaction

from agents_app import actions, dispatch
from agents_app.models import Action, Task
from taskmaster.core.bundles import bundled, one_transaction
from taskmaster.core.clock import now
from taskmaster.core.errors import InvalidState, NotFound, ValidationFailed
from taskmaster.core.prepared import Slot, Update
from taskmaster.events.log import record, together

from . import approvals, engine, items, timers
from .going import Going
from .models import StepAttempt, StepItem, StepLink, Workflow, WorkflowStep

# How often a signal looks again whether the step waits by now.
LOOKS = 3
DECIDED = "The step has been decided otherwise, before it waits for it."
# A step that will run as if it never had; its attempts are counted on.
ANEW: dict[str, Any] = {
    "status": WorkflowStep.PENDING,
    "task_id": "",
    "error_code": "",
    "progress": 0.0,
    **dict.fromkeys(("result", "gate", "error", "signal", "wake_at", "started_at", "finished_at")),
}
_START = Update(
    lambda: Workflow.objects.filter(pk=Slot("pk"), status=Workflow.CREATED),
    status=Workflow.RUNNING,
    started_at=Slot("started_at", models.DateTimeField()),
    deadline_at=Slot("deadline_at", models.DateTimeField()),
    priority=Slot("priority", models.IntegerField()),
    timeout=Slot("timeout", models.BigIntegerField()),
    notifications=Slot("notifications", models.BooleanField()),
)


class _NotCreated(Exception):
    """Somebody else has started it, or called it off."""


def start(workflow: Workflow, **limits: Any) -> None:
    """Start it, with `priority`, `timeout` and `notifications`. Raises InvalidState unless it was only created."""
    moment = now()
    deadline = moment + timedelta(milliseconds=limits["timeout"]) if limits.get("timeout") else None
    fields = dict.fromkeys(("priority", "timeout")) | {"notifications": True} | limits
    fields |= {"started_at": moment, "deadline_at": deadline}
    try:
        with one_transaction(), together():
            _START.later(pk=workflow.pk, rows=1, otherwise=_NotCreated, **fields)
            vars(workflow).update(fields | {"status": Workflow.RUNNING})
            record(workflow.org_id, ("workflow.started", workflow.news()))
            _go_on(workflow)
    except _NotCreated:
        workflow.move_to(Workflow.RUNNING, where={"status": Workflow.CREATED})  # It says why that is not possible.


@transaction.atomic
def pause(workflow: Workflow) -> None:
    """Start nothing more; what runs finishes. Raises InvalidState unless it runs."""
    workflow.move_to(Workflow.PAUSED, paused_at=now())
    record(workflow.org_id, ("workflow.paused", workflow.news()))


@transaction.atomic
def resume(workflow: Workflow) -> None:
    """Go on; paused time does not count. Raises InvalidState unless it is paused."""
    moment = now()
    if engine.locked(workflow.pk) is None:
        raise NotFound()
    workflow.refresh_from_db()
    deadline = workflow.deadline_at
    if deadline is not None and workflow.paused_at is not None:
        deadline += moment - workflow.paused_at
    workflow.move_to(Workflow.RUNNING, where={"status": Workflow.PAUSED}, resumed_at=moment, deadline_at=deadline)
    with bundled(), together():
        record(workflow.org_id, ("workflow.resumed", workflow.news()))
        _fill_up(workflow)
        _go_on(workflow)


def _fill_up(workflow: Workflow) -> None:
    """Start the items that could not start while it was paused, and mind the times that go on."""
    live = WorkflowStep.objects.filter(workflow=workflow, status__in=WorkflowStep.LIVE).order_by("position")
    for step in live:
        if step.type == "foreach" and items.resume(step, Going.on(workflow)):
            engine.after(workflow, step)
        if step.wake_at is not None:
            timers.wake_at(workflow.pk, step.wake_at)


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
        engine.tell_of_end(workflow)
    let_go(workflow)


def end_steps(workflow: Workflow) -> None:
    """Cancel the steps that have not ended, with what was tried (its row is held)."""
    over: dict[str, Any] = {"status": WorkflowStep.CANCELLED, "finished_at": now()}
    left = WorkflowStep.objects.filter(workflow=workflow).exclude(status__in=WorkflowStep.FINISHED)
    StepAttempt.objects.filter(step__in=left, finished_at=None).update(**over)
    StepItem.objects.filter(step__in=left, status__in=items.UNFINISHED).update(status=WorkflowStep.CANCELLED)
    # They are left: `progress` tells how far it came.
    left.update(**over, wake_at=None)


def let_go(workflow: Workflow) -> None:
    """Cancel the tasks and questions of a workflow that has ended.

    After its commit, since a task's end takes its own row before the workflow's. The sweep does the same.
    """
    for task in Task.objects.filter(workflow_id=workflow.pk, status__in=Task.UNFINISHED).order_by("pk"):
        _let_go(task)
    approvals.give_up(workflow)


@transaction.atomic
def _let_go(task: Task) -> None:
    held = Task.objects.filter(pk=task.pk, status__in=Task.UNFINISHED).select_for_update(no_key=True).first()
    workflow = engine.locked(task.workflow_id or "") if held else None
    # Retried meanwhile, it has tasks that are wanted.
    if held is not None and workflow is not None and workflow.status in Workflow.FINISHED:
        dispatch.cancel(held)


def let_go_of_all() -> None:
    """What a process that was killed did not come to."""
    unfinished = Task.objects.filter(status__in=Task.UNFINISHED, workflow_id__isnull=False).values("workflow_id")
    asked = Action.objects.filter(status=Action.PENDING, kind="approval").exclude(subject="").values("workflow_id")
    for rows in (unfinished, asked):
        for workflow in Workflow.objects.filter(pk__in=rows, status__in=Workflow.FINISHED)[:200]:
            let_go(workflow)


@transaction.atomic
def retry(workflow: Workflow, from_step: str | None = None) -> None:
    """Run a failed one again: the steps that have not completed, and with `from_step` that one and all behind it.

    Other results are kept. Raises InvalidState unless it has failed, ValidationFailed where there is no such step.
    """
    moment = now()
    deadline = moment + timedelta(milliseconds=workflow.timeout) if workflow.timeout else None
    fresh = {"finished_at": None, "error": None, "deadline_at": deadline}
    workflow.move_to(Workflow.RUNNING, where={"status": Workflow.FAILED}, **fresh)
    found = list(WorkflowStep.objects.filter(workflow=workflow))
    again = {step.pk for step in found if step.status != WorkflowStep.COMPLETED}
    # Without the others it could but fail once more, or complete although something in it was called off.
    if from_step:
        anew = _from(found, from_step)
        StepItem.objects.filter(step__in=anew).delete()
        again |= anew
    WorkflowStep.objects.filter(pk__in=again).update(**ANEW)
    # It had ended, so that all the others have.
    workflow.left = len(again)
    Workflow.objects.filter(pk=workflow.pk).update(left=workflow.left)
    with bundled(), together():
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
    """Decide an approval, now or, where it does not wait yet, as soon as it does; the same again changes nothing.

    Raises NotFound where there is no such step, InvalidState where it is decided otherwise or the workflow has ended.
    """
    found = WorkflowStep.objects.filter(workflow=workflow, key=step_id.replace("\0", ""), type="approval")
    step = found.first()
    # It may begin to wait, and another may decide it, between a look and what follows from it.
    for _ in range(LOOKS):
        if step is None:
            raise NotFound("There is no such approval step.")
        question = approvals.pending(step)
        if question is not None:
            actions.decide(question, actions.Verdict(confirmed=approved, by=by, updated_input=data))
            return found.get()
        if approvals.answer_of(step) is approved or _keep(step, {"approved": approved, "data": data, "by": by}):
            return found.get()
        if step.status in WorkflowStep.FINISHED or step.signal is not None:
            break
        step = found.first()
    status = step.status if step else "gone"
    is_kept = step is not None and step.status == WorkflowStep.PENDING and step.signal is not None
    said = DECIDED if is_kept else f"The step is {status}."
    raise InvalidState(said, details=[{"field": "status", "message": status}])


@transaction.atomic
def _keep(step: WorkflowStep, decision: dict[str, Any]) -> bool:
    """Keep a decision that comes before its wait, unless there is one."""
    held = engine.locked(step.workflow_id)
    if held is None or held.status in Workflow.FINISHED:
        return False
    early = WorkflowStep.objects.filter(pk=step.pk, status=WorkflowStep.PENDING, signal=None)
    return bool(early.update(signal=decision))


def _go_on(workflow: Workflow) -> None:
    """A running workflow, which is held, does all that it can."""
    engine.go_on(workflow)
    if workflow.deadline_at:
        timers.wake_at(workflow.pk, workflow.deadline_at)
