"""The engine: whatever happens to a workflow, its row is taken, the planner is asked, and what it says is done.

Everything is in one transaction with the change that brought it about, so there is nothing to lose between two steps:
the worker that ends a step's task stores the next one. Doing the same twice changes nothing; the sweep asks for
workflows in which nothing goes on again, whatever was lost.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import models, transaction
from django.db.models import Exists, F, OuterRef

from agents_app import continuing, routing
from agents_app.models import Task
from taskmaster.core.bundles import bundled
from taskmaster.core.clock import milliseconds, now
from taskmaster.core.prepared import Columns, Select, Slot, Update, ask
from taskmaster.core.wakeups import hub
from taskmaster.events.log import record, together

from . import graph, kinds, steps
from .going import Going
from .models import StepLink, Workflow, WorkflowStep
from .variables import Variables

_LOCK = Select(lambda: Workflow.objects.select_for_update(no_key=True).filter(pk=Slot("pk")))
_ALL = Select(lambda: WorkflowStep.objects.filter(workflow=Slot("workflow")).order_by("position"))
_STEP = Select(lambda: WorkflowStep.objects.filter(pk=Slot("step", models.BigIntegerField())))
# What a step that has ended, or is about to, keeps waiting no longer: the steps that need nothing else unfinished.
_FREED = Select(
    lambda: WorkflowStep.objects.filter(
        ~Exists(_unfinished_needs()), needs__needs=_step(), status=WorkflowStep.PENDING
    ).order_by("position")
)
_NEEDS = Columns(
    lambda: StepLink.objects.filter(step=_step()).values_list(
        "needs__key", "needs__status", "needs__on_failure", "needs__gate"
    )
)
_FATAL = Columns(
    lambda: (
        WorkflowStep.objects.filter(workflow=Slot("workflow"), status=WorkflowStep.FAILED)
        .exclude(on_failure="continue")
        .values_list("pk")[:1]
    )
)
_COUNT_DOWN = Update(
    lambda: Workflow.objects.filter(pk=Slot("pk")), left=F("left") - Slot("ended", models.IntegerField())
)
_COMPLETE = Update(
    lambda: Workflow.objects.filter(pk=Slot("pk"), status=Workflow.RUNNING),
    status=Workflow.COMPLETED,
    finished_at=Slot("now", models.DateTimeField()),
    deadline_at=None,
    error=None,
)


def _step() -> Slot:
    return Slot("step", models.BigIntegerField())


def _unfinished_needs() -> Any:
    others = StepLink.objects.filter(step=OuterRef("pk")).exclude(needs=_step())
    return others.exclude(needs__status__in=WorkflowStep.FINISHED)


def locked(workflow_id: str) -> Workflow | None:
    """The workflow, its row held until the transaction ends."""
    return _LOCK.first(pk=workflow_id)


@dataclass(frozen=True, slots=True)
class Ahead:
    """What the end of a step may need, asked with the step itself: the steps that wait for nothing else."""

    going: Going
    freed: list[WorkflowStep]


def locked_at(task: Task) -> tuple[WorkflowStep, Ahead] | None:
    """The step that a task is of and what is ahead of it, with the workflow's row held; None where they are gone."""
    step_id, agent_type = int(task.origin_id), task.agent.type
    choosing, place = routing.Choosing(task.org_id), continuing.place()
    # Probably the next step is for an agent of the same type, and for this very one.
    workflows, mine, freed, agents, *known = ask(
        (_LOCK, {"pk": task.workflow_id}),
        (_STEP, {"step": step_id}),
        (_FREED, {"step": step_id}),
        choosing.question(agent_type),
        *(place.questions() if place else ()),
    )
    choosing.know(agent_type, agents)
    if place:
        place.know(known)
    if not workflows or not mine:
        return None
    return mine[0], Ahead(Going(workflows[0], Variables(workflows[0]), choosing), freed)


@transaction.atomic
def advance(workflow_id: str) -> None:
    """Do whatever there is to do: level-triggered, and so as often as anybody likes."""
    workflow = locked(workflow_id)
    if workflow is not None and workflow.status == Workflow.RUNNING:
        go_on(workflow)


def go_on(workflow: Workflow) -> None:
    """The same for a running workflow that is held: all of its steps are looked at."""
    with bundled(), together():
        found = {step.key: step for step in _ALL.all(workflow=workflow.pk)}
        going = Going.on(workflow)
        planned = graph.plan([_node(step) for step in found.values()], partial(_holds, going, found))
        ended = _carry_out(planned, going, found)
        if planned.outcome:
            finish(workflow, planned.outcome)
        else:
            # What was skipped or failed is planned for already; what ended at once is not.
            _follow(going, [step for step in ended if step.key in planned.start])


def after(workflow: Workflow, step: WorkflowStep, ahead: Ahead | None = None) -> None:
    """The workflow, which is held, goes on after this step has ended: only what depends on it is looked at."""
    with bundled(), together():
        going = ahead.going if ahead else Going.on(workflow)
        _note(going, [step])
        if workflow.status == Workflow.RUNNING:
            _follow(going, [step], ahead.freed if ahead else None)


def _follow(going: Going, ended: list[WorkflowStep], freed: list[WorkflowStep] | None = None) -> None:
    """Plan for what these ends bring about, and for the ends that those bring about in the same breath."""
    while ended:
        if freed is None:
            freed = [one for each in ask(*[(_FREED, {"step": step.pk}) for step in ended]) for one in each]
        found = {step.key: step for step in (*ended, *freed)}
        planned = graph.plan(
            _nodes(found),
            partial(_holds, going, found),
            changed={step.key for step in ended},
            unfinished=going.workflow.left,
            failed=partial(_has_failed, going.workflow.pk),
        )
        ended, freed = _carry_out(planned, going, found), None
        if planned.outcome:
            return finish(going.workflow, planned.outcome)
    return None


def _carry_out(planned: graph.Plan, going: Going, found: dict[str, WorkflowStep]) -> list[WorkflowStep]:
    """Skip, fail and start what the plan says. Returns the steps that have ended with that."""
    for key, reason in planned.skip:
        steps.skip(found[key], going.workflow, reason)
    for key, reason in planned.fail:
        steps.fail(found[key], going.workflow, reason, code="bad_expression")
    for key in planned.start:
        kinds.start(found[key], going)
    touched = [found[key] for key in (*dict(planned.skip), *dict(planned.fail), *planned.start)]
    ended = [step for step in touched if step.status in WorkflowStep.FINISHED]
    _note(going, ended)
    return ended


def _note(going: Going, ended: Sequence[WorkflowStep]) -> None:
    """Count these ends; what comes of them can be seen from now on."""
    if ended:
        going.workflow.left -= len(ended)
        _COUNT_DOWN.later(pk=going.workflow.pk, ended=len(ended))
    for step in ended:
        going.variables.know(step)


def _nodes(found: dict[str, WorkflowStep]) -> Iterable[graph.Node]:
    """These steps, and what those of them that wait need: that has ended, whether or not it is at hand."""
    nodes = {step.key: _node(step) for step in found.values()}
    for step in found.values():
        if step.status == WorkflowStep.PENDING and not nodes.keys() >= set(step.definition.get("dependsOn", ())):
            nodes = {node.id: node for node in _needs_of(step)} | nodes
    return nodes.values()


def _holds(going: Going, found: dict[str, WorkflowStep], key: str) -> bool | str:
    return going.variables.holds(found[key])


def _has_failed(workflow_id: str) -> bool:
    return bool(_FATAL.all(workflow=workflow_id))


def _node(step: WorkflowStep) -> graph.Node:
    return graph.Node(
        id=step.key,
        status=step.status,
        depends_on=tuple(step.definition.get("dependsOn", ())),
        on_failure=step.on_failure,
        gate=step.gate,
        guarded=bool(step.definition.get("when")),
    )


def _needs_of(step: WorkflowStep) -> Iterable[graph.Node]:
    for key, status, on_failure, gate in _NEEDS.all(step=step.pk):
        # SQLite has 0 and 1.
        passes = None if gate is None else bool(gate)
        yield graph.Node(id=key, status=status, depends_on=(), on_failure=on_failure, gate=passes)


def finish(workflow: Workflow, outcome: str, *, error: str | None = None) -> None:
    """End a running workflow, which is held."""
    moment = now()
    failed: dict[str, Any] = {}
    if outcome == Workflow.COMPLETED:
        _COMPLETE.later(pk=workflow.pk, now=moment)
        workflow.status, workflow.finished_at = outcome, moment
    else:
        error, failed = _why(workflow, error)
        workflow.move_to(outcome, finished_at=moment, error=error, deadline_at=None)
    lasted = {"duration": duration(workflow)}
    record(
        workflow.org_id,
        (f"workflow.{outcome}", workflow.news(**lasted, **failed)),
        ("workflow.finished", workflow.news(**lasted, error=error)),
    )
    tell_of_end(workflow)


def _why(workflow: Workflow, error: str | None) -> tuple[str, dict[str, Any]]:
    """What the failed workflow says, and the events with it: the step that failed first, unless it was no step."""
    if error is not None:
        return error, {"error": error, "stepId": None}
    failed = WorkflowStep.objects.filter(workflow=workflow, status=WorkflowStep.FAILED, on_failure="fail")
    step = failed.order_by("finished_at").first()
    error = f"{step.name}: {step.error}" if step else "A step has failed."
    return error, {"error": error, "stepId": step.key if step else None}


def tell_of_end(workflow: Workflow) -> None:
    """Wake whoever waits for its end (after the commit)."""
    hub.send_on_commit(f"workflow:{workflow.pk}")


def duration(workflow: Workflow) -> int | None:
    """Milliseconds from its start until now; None where it never started."""
    if workflow.started_at is None:
        return None
    return max(0, milliseconds((workflow.finished_at or now()) - workflow.started_at))
