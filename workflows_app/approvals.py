"""Steps that wait for a person: the question is an action like any other, the answer a decision of it, or a signal.

An action's row is taken before its workflow's, everywhere: whoever decides has the action first.
"""

from datetime import timedelta
from typing import Any

from django.db import transaction

from agents_app import actions
from agents_app.models import Action
from taskmaster.core.clock import now
from taskmaster.core.errors import InvalidState
from taskmaster.events.log import record

from . import engine, steps, timers
from .models import Workflow, WorkflowStep

REJECTED, LATE = "rejected", "approval_timeout"
NOBODY, OVER = "Nobody decided in time.", "The workflow does not wait for it any more."


def subject_of(step: WorkflowStep) -> str:
    """What the question of this attempt is found by: a step that is tried again asks anew."""
    return f"step:{step.pk}:{step.attempt}"


def begin(step: WorkflowStep, workflow: Workflow, question: str) -> None:
    """Ask, unless the answer has come already."""
    if step.signal is not None:
        early = step.signal
        end(step, workflow, approved=early["approved"], data=early["data"], reason="", by=early.get("by"))
        return
    timeout = step.definition.get("timeout")
    until = now() + timedelta(milliseconds=timeout) if timeout else None
    steps.ask(step, workflow, until=until, prompt=question)
    action = Action(
        org_id=workflow.org_id,
        kind="approval",
        tool=step.name,
        # Lists show how it begins.
        input={"question": question, "workflowId": workflow.pk, "stepId": step.key},
        risk="medium",
        workflow_id=workflow.pk,
        subject=subject_of(step),
        expires_at=until,
    )
    action.save(force_insert=True)
    record(workflow.org_id, ("action.pending", action.news()))
    if until:
        timers.wake_at(workflow.pk, until)


def decided(action: Action) -> None:
    """Somebody decided (in the transaction of the decision). Raises InvalidState where it is too late."""
    workflow, step = _asking(action)
    if workflow is None or step is None:
        raise InvalidState("The step does not wait for this any more.")
    approved = action.status == Action.CONFIRMED
    end(step, workflow, approved=approved, data=action.updated_input, reason=action.reason, by=action.decided_by)
    engine.after(workflow, step)


def _asking(action: Action) -> tuple[Workflow | None, WorkflowStep | None]:
    """The workflow, which is held from now on, and the step of it that waits for this very action, if one does."""
    workflow = engine.locked(action.workflow_id or "")
    if workflow is None:
        return None, None
    step = WorkflowStep.objects.filter(workflow=workflow, key=action.input["stepId"]).first()
    waits = step is not None and step.status == WorkflowStep.WAITING and subject_of(step) == action.subject
    return workflow, step if waits else None


def end(
    step: WorkflowStep, workflow: Workflow, *, approved: bool, data: Any, reason: str, by: str | None = None
) -> None:
    """Approved, the step is completed; rejected, it has failed."""
    if approved:
        steps.complete(step, workflow, {"approved": True, "data": data, "decidedBy": by})
    else:
        steps.fail(step, workflow, "It was rejected" + (f": {reason}" if reason else "."), code=REJECTED)


def pending(step: WorkflowStep) -> Action | None:
    """What the step asks now, while nobody has decided it."""
    return Action.objects.filter(subject=subject_of(step), status=Action.PENDING).first()


def answer_of(step: WorkflowStep) -> bool | None:
    """What somebody has decided, now or before the step waits for it; None where nobody has."""
    if step.status == WorkflowStep.COMPLETED and step.result and step.result["approved"]:
        return True
    if step.status == WorkflowStep.FAILED and step.error_code == REJECTED:
        return False
    return bool(step.signal["approved"]) if step.status == WorkflowStep.PENDING and step.signal else None


def held(workflow_id: str) -> dict[str, Action]:
    """The open questions of a workflow's steps whose time has come, by subject, their rows held."""
    late = WorkflowStep.objects.filter(
        workflow=workflow_id, type="approval", status=WorkflowStep.WAITING, wake_at__lte=now()
    )
    subjects = [subject_of(step) for step in late]
    if not subjects:
        return {}
    found = Action.objects.filter(subject__in=subjects, status=Action.PENDING).select_for_update(no_key=True)
    return {action.subject: action for action in found.order_by("pk")}


def too_late(step: WorkflowStep, workflow: Workflow, questions: dict[str, Action]) -> None:
    """Nobody decided in time: the step fails, or passes. `questions` are held.

    One whose time came only a moment ago is left for the next look: taken now, its row would come after the
    workflow's.
    """
    question = questions.get(subject_of(step))
    if question is None and pending(step) is not None:
        return
    if question is not None:
        actions.expire(question, NOBODY)
    if step.definition.get("onTimeout") == "continue":
        steps.complete(step, workflow, {"approved": False, "data": None, "decidedBy": None})
    else:
        steps.fail(step, workflow, NOBODY, code=LATE)


def give_up(workflow: Workflow) -> None:
    """Nobody needs to decide what the workflow does not wait for any more (after the commit of its end)."""
    for action in Action.objects.filter(org=workflow.org_id, workflow_id=workflow.pk, status=Action.PENDING):
        _give_up(action)


@transaction.atomic
def _give_up(action: Action) -> None:
    held = Action.objects.filter(pk=action.pk, status=Action.PENDING).select_for_update(no_key=True).first()
    if held is not None and _asking(held)[1] is None:
        actions.expire(held, OVER)
