"""The engine: whatever happens to a workflow, its row is taken, the planner is asked, and what it says is done.

Everything is in one transaction with the change that brought it about, so there is nothing to lose between two steps:
the worker that ends a step's task stores the next one. Doing the same twice changes nothing; the sweep asks for
workflows in which nothing goes on again, whatever was lost.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from django.db import models, transaction
from django.db.models import Exists, F, OuterRef

from taskmaster.core.bundles import bundled
from taskmaster.core.clock import milliseconds, now
from taskmaster.core.prepared import Asked, Columns, Select, Slot, Update, ask
from taskmaster.core.wakeups import hub
from taskmaster.events.log import record, together

from . import graph, kinds, steps
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


def locked_at(workflow_id: str, step_id: int) -> tuple[Workflow | None, WorkflowStep | None, list[WorkflowStep]]:
    """The workflow, its row held; that step of it as it is then; and the steps that only wait for this one."""
    lock: Asked = (_LOCK, {"pk": workflow_id})
    found, step, freed = ask(lock, (_STEP, {"step": step_id}), (_FREED, {"step": step_id}))
    return (found[0] if found else None), (step[0] if step else None), freed


@transaction.atomic
def advance(workflow_id: str) -> None:
    """Do whatever there is to do: level-triggered, and so as often as anybody likes."""
    workflow = locked(workflow_id)
    if workflow is not None and workflow.status == Workflow.RUNNING:
        go_on(workflow)


def go_on(workflow: Workflow) -> None:
    """The same for a running workflow that is held: all of its steps are looked at."""
    with bundled(), together():
        going = _Pass(workflow, _ALL.all(workflow=workflow.pk))
        planned = graph.plan([_node(step) for step in going.steps.values()], going.holds)
        ended = going.carry_out(planned)
        if planned.outcome:
            finish(workflow, planned.outcome)
        else:
            # What was skipped or failed is planned for already; what ended at once is not.
            _follow(going, [step for step in ended if step.key in planned.start])


def after(workflow: Workflow, step: WorkflowStep, freed: list[WorkflowStep] | None = None) -> None:
    """The workflow, which is held, goes on after this step has ended: only what depends on it is looked at.

    `freed` are the steps that only waited for this one, where they are known.
    """
    with bundled(), together():
        going = _Pass(workflow, [])
        going.note([step])
        if workflow.status == Workflow.RUNNING:
            _follow(going, [step], freed)


def _follow(going: "_Pass", ended: list[WorkflowStep], freed: list[WorkflowStep] | None = None) -> None:
    """Plan for what these ends bring about, and for the ends that those bring about in the same breath."""
    while ended:
        if freed is None:
            found = ask(*[(_FREED, {"step": step.pk}) for step in ended])
            freed = [step for each in found for step in each]
        going.steps = {step.key: step for step in (*ended, *freed)}
        planned = going.plan_after(ended)
        ended, freed = going.carry_out(planned), None
        if planned.outcome:
            return finish(going.workflow, planned.outcome)
    return None


class _Pass:
    """What is known of a workflow while it goes on: some of its steps, and what their prompts can see."""

    def __init__(self, workflow: Workflow, found: Iterable[WorkflowStep]) -> None:
        self.workflow = workflow
        self.variables = Variables(workflow)
        self.steps = {step.key: step for step in found}

    def plan_after(self, ended: Sequence[WorkflowStep]) -> graph.Plan:
        """What happens next, once these have ended."""
        nodes = {step.key: _node(step) for step in self.steps.values()}
        for step in self.steps.values():
            # What a freed step needs has ended, whether or not it is at hand.
            if step.status == WorkflowStep.PENDING and not nodes.keys() >= set(step.definition.get("dependsOn", ())):
                nodes = {node.id: node for node in _needs_of(step)} | nodes
        return graph.plan(
            nodes.values(),
            self.holds,
            changed={step.key for step in ended},
            unfinished=self.workflow.left,
            failed=partial(_has_failed, self.workflow.pk),
        )

    def carry_out(self, planned: graph.Plan) -> list[WorkflowStep]:
        """Skip, fail and start what the plan says. Returns the steps that have ended with that."""
        for key, reason in planned.skip:
            steps.skip(self.steps[key], self.workflow, reason)
        for key, reason in planned.fail:
            steps.fail(self.steps[key], self.workflow, reason, code="bad_expression")
        for key in planned.start:
            kinds.start(self.steps[key], self.workflow, self.variables)
        keys = [*dict(planned.skip), *dict(planned.fail), *planned.start]
        ended = [self.steps[key] for key in keys if self.steps[key].status in WorkflowStep.FINISHED]
        self.note(ended)
        return ended

    def note(self, ended: Sequence[WorkflowStep]) -> None:
        """Count these ends; what comes of them can be seen from now on."""
        if ended:
            self.workflow.left -= len(ended)
            _COUNT_DOWN.later(pk=self.workflow.pk, ended=len(ended), rows=1)
        for step in ended:
            self.variables.know(step)

    def holds(self, key: str) -> bool | str:
        """Whether the `when` of a step holds, or why that cannot be said."""
        return self.variables.holds(self.steps[key])


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
    moment, failed = now(), {}
    if outcome == Workflow.COMPLETED:
        _COMPLETE.later(pk=workflow.pk, now=moment, rows=1)
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
