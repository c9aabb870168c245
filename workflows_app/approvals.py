"""Steps that wait for a person: the question is an action like any other, the answer a decision of it, or a signal."""

from datetime import timedelta
from typing import Any

from agents_app import actions
from agents_app.models import Action
from taskmaster.core.clock import now
from taskmaster.core.errors import InvalidState
from taskmaster.events.log import record

from . import engine, steps, timers
from .models import Workflow, WorkflowStep

REJECTED, LATE = "rejected", "approval_timeout"


def subject_of(step: WorkflowStep) -> str:
    """What the action of this attempt is found by."""
    return f"{step.workflow_id}:{step.key}"


def begin(step: WorkflowStep, workflow: Workflow, question: str) -> None:
    """Ask, unless the answer has come already."""
    if step.signal is not None:
        end(step, workflow, approved=bool(step.signal["approved"]), data=step.signal.get("data"), reason="")
        return
    timeout = step.definition.get("timeout")
    until = now() + timedelta(milliseconds=timeout) if timeout else None
    action = Action(
        org_id=workflow.org_id,
        kind="approval",
        tool=step.name,
        input={"workflowId": workflow.pk, "stepId": step.key, "question": question},
        risk="medium",
        workflow_id=workflow.pk,
        subject=subject_of(step),
    )
    steps.wait(step, workflow, until=until, prompt=question)
    action.save(force_insert=True)
    record(workflow.org_id, ("action.pending", action.news()))
    if until:
        timers.wake_at(workflow.pk, until)


def decided(action: Action) -> None:
    """Somebody decided (in the transaction of the decision)."""
    workflow = engine.locked(action.workflow_id or "")
    step = WorkflowStep.objects.filter(workflow=workflow, key=action.input["stepId"]).first() if workflow else None
    if workflow is None or step is None or step.status != WorkflowStep.WAITING:
        raise InvalidState("The step does not wait for this any more.")
    approved = action.status == Action.CONFIRMED
    end(step, workflow, approved=approved, data=action.updated_input, reason=action.reason, by=action.decided_by)
    engine.after(workflow, step)


def end(
    step: WorkflowStep, workflow: Workflow, *, approved: bool, data: Any, reason: str, by: str | None = None
) -> None:
    """Approved, the step is completed; rejected, it has failed."""
    if approved:
        steps.complete(step, workflow, {"approved": True, "data": data, "decidedBy": by})
    else:
        steps.fail(step, workflow, "It was rejected" + (f": {reason}" if reason else "."), code=REJECTED)


def pending(step: WorkflowStep) -> Action | None:
    """The open question of a step."""
    return Action.objects.filter(subject=subject_of(step), status=Action.PENDING).first()


def give_up(workflow_id: str) -> None:
    """Nobody needs to decide what a workflow that has ended had asked (after the commit of its end)."""
    for action in Action.objects.filter(workflow_id=workflow_id, status=Action.PENDING):
        actions.expire(action, "The workflow has ended.")
