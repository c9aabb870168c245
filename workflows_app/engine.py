"""The engine: whatever happens to a workflow, its row is taken, the planner is asked, and what it says is done.

Everything is in one transaction with the change that brought it about, so there is nothing to lose between two steps:
the worker that ends a step's task stores the next one. Doing the same twice changes nothing; the sweep asks for all
running workflows again, whatever was lost.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

from django.db import models, transaction
from django.db.models import F
from django.db.models.functions import Now

from taskmaster.core.clock import milliseconds, now
from taskmaster.core.prepared import Select, Slot, Update
from taskmaster.events.log import record, together

from . import graph, kinds, steps
from .models import StepLink, Workflow, WorkflowStep
from .variables import Variables

_LOCK = Select(lambda: Workflow.objects.select_for_update(no_key=True).filter(pk=Slot("pk")))
_ALL = Select(lambda: WorkflowStep.objects.filter(workflow=Slot("workflow")).order_by("position"))
_DEPENDENTS = Select(
    lambda: WorkflowStep.objects.filter(
        needs__needs=Slot("step", models.BigIntegerField()), status=WorkflowStep.PENDING
    )
)
_NEEDS = Select(lambda: StepLink.objects.select_related("needs").filter(step=Slot("step", models.BigIntegerField())))
_COUNT_DOWN = Update(
    lambda: Workflow.objects.filter(pk=Slot("pk")), left=F("left") - Slot("ended", models.IntegerField())
)


def locked(workflow_id: str) -> Workflow | None:
    """The workflow, its row held until the transaction ends."""
    return _LOCK.first(pk=workflow_id)


@transaction.atomic
def advance(workflow_id: str) -> None:
    """Do whatever there is to do: level-triggered, and so as often as anybody likes."""
    workflow = locked(workflow_id)
    if workflow is None or workflow.status != Workflow.RUNNING:
        return
    with together():
        _advance(workflow, _ALL.all(workflow=workflow.pk), None)


def after(workflow: Workflow, step: WorkflowStep) -> None:
    """The workflow, which is held, goes on after this step has ended: only what depends on it is looked at."""
    workflow.left -= 1
    _COUNT_DOWN(pk=workflow.pk, ended=1)
    if workflow.status == Workflow.RUNNING:
        _advance(workflow, _around(step), {step.key})


def _around(step: WorkflowStep) -> list[WorkflowStep]:
    """The steps that depend on it, on those, and so on, and what they need; all that its end can matter to."""
    found: dict[int, WorkflowStep] = {step.pk: step}
    front = [step]
    while front:
        ahead = {one.pk: one for behind in front for one in _DEPENDENTS.all(step=behind.pk)}
        front = [one for pk, one in ahead.items() if pk not in found]
        found |= {one.pk: one for one in front}
        for one in front:
            found |= {link.needs_id: link.needs for link in _NEEDS.all(step=one.pk) if link.needs_id not in found}
        # Most steps let their dependents start: those after them are looked at only where these may be skipped.
        if not any(_may_skip(before) for before in found.values()):
            break
    return sorted(found.values(), key=lambda one: one.position)


def _may_skip(step: WorkflowStep) -> bool:
    passing = step.status in (WorkflowStep.COMPLETED, *WorkflowStep.LIVE) and step.gate is not False
    guarded = step.status == WorkflowStep.PENDING and bool(step.definition.get("when"))
    return guarded or not (passing or step.status == WorkflowStep.PENDING)


def _advance(workflow: Workflow, found: Iterable[WorkflowStep], changed: set[str] | None) -> None:
    by_key = {step.key: step for step in found}
    variables = Variables(workflow)
    while True:
        planned = graph.plan(
            [_node(step) for step in by_key.values()],
            partial(_holds, variables, by_key),
            changed=changed,
            unfinished=None if changed is None else workflow.left,
            failed=None if changed is None else partial(_has_failed, workflow.pk),
        )
        ended = _carry_out(workflow, planned, by_key, variables)
        if planned.outcome:
            return finish(workflow, planned.outcome)
        if not ended:
            return None
        # Steps that end at once, such as conditions, let others start in the same breath.
        if changed is not None:
            for step in ended:
                by_key |= {one.key: one for one in _around(step) if one.key not in by_key}
            changed = {step.key for step in ended}


def _carry_out(
    workflow: Workflow, planned: graph.Plan, by_key: dict[str, WorkflowStep], variables: Variables
) -> list[WorkflowStep]:
    """Skip, fail and start what the plan says. Returns the steps that were started and have ended already."""
    for key, reason in planned.skip:
        steps.skip(by_key[key], workflow, reason)
    for key, reason in planned.fail:
        steps.fail(by_key[key], workflow, reason, code="bad_expression")
    ended = len(planned.skip) + len(planned.fail)
    at_once = []
    for key in planned.start:
        step = by_key[key]
        kinds.start(step, workflow, variables)
        if step.status in WorkflowStep.FINISHED:
            variables.know(step)
            at_once.append(step)
    ended += len(at_once)
    if ended:
        workflow.left -= ended
        _COUNT_DOWN(pk=workflow.pk, ended=ended)
    return at_once


def _holds(variables: Variables, by_key: dict[str, WorkflowStep], key: str) -> bool | str:
    return variables.holds(by_key[key])


def _has_failed(workflow_id: str) -> bool:
    failed = WorkflowStep.objects.filter(workflow=workflow_id, status=WorkflowStep.FAILED)
    return failed.exclude(on_failure="continue").exists()


def _node(step: WorkflowStep) -> graph.Node:
    return graph.Node(
        id=step.key,
        status=step.status,
        depends_on=tuple(step.definition.get("dependsOn", ())),
        on_failure=step.on_failure,
        gate=step.gate,
        guarded=bool(step.definition.get("when")),
    )


def finish(workflow: Workflow, outcome: str, *, error: str | None = None, step: WorkflowStep | None = None) -> None:
    """End a running workflow, which is held."""
    if outcome == Workflow.FAILED and error is None:
        failed = WorkflowStep.objects.filter(workflow=workflow, status=WorkflowStep.FAILED, on_failure="fail")
        step = failed.order_by("finished_at").first()
        error = f"{step.name}: {step.error}" if step else "A step has failed."
    if not workflow.try_move(outcome, finished_at=now(), error=error, deadline_at=None):
        return
    about: dict[str, Any] = {"duration": duration(workflow)}
    failed_at = {"error": error, "stepId": step.key if step else None} if outcome == Workflow.FAILED else {}
    record(
        workflow.org_id,
        (f"workflow.{outcome}", workflow.news(**about, **failed_at)),
        ("workflow.finished", workflow.news(**about, error=error)),
    )


def duration(workflow: Workflow) -> int | None:
    """Milliseconds from its start until now; None where it never started."""
    if workflow.started_at is None:
        return None
    return max(0, milliseconds((workflow.finished_at or now()) - workflow.started_at))


def due() -> "Iterable[str]":
    """The running workflows that the sweep looks at: those with a step or a deadline whose time has come."""
    waiting = WorkflowStep.objects.filter(status=WorkflowStep.WAITING, wake_at__lte=Now())
    return list(
        Workflow.objects.filter(status=Workflow.RUNNING, pk__in=waiting.values("workflow_id")).values_list(
            "pk", flat=True
        )[:500]
    )
