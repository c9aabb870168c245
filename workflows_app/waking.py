"""What a time brings about: waits end, questions grow stale, attempts begin, runs take too long."""

from itertools import chain

from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from agents_app.models import Action
from taskmaster.core.bundles import one_transaction
from taskmaster.core.clock import iso, now
from taskmaster.events.log import together

from . import approvals, engine, kinds, lifecycle, steps
from .going import Going
from .models import Workflow, WorkflowStep

TOO_LONG = "The run took longer than its timeout."
AT_ONCE = 500
# Running workflows that one sweep looks at, whether or not anything of theirs is due: these, then the next ones.
LOOKED_AT = 200


def wake(workflow_id: str) -> None:
    """Do what is due in this workflow, if it runs."""
    with one_transaction(), together():
        # What is asked is taken before the workflow, as by whoever decides it.
        questions = approvals.held(workflow_id)
        workflow = engine.locked(workflow_id)
        if workflow is None or workflow.status != Workflow.RUNNING:
            return
        if workflow.deadline_at is not None and workflow.deadline_at <= now():
            lifecycle.end_steps(workflow)
            engine.finish(workflow, Workflow.FAILED, error=TOO_LONG)
        else:
            _due(workflow, questions)
    if workflow.status in Workflow.FINISHED:
        lifecycle.let_go(workflow)


def _due(workflow: Workflow, questions: dict[str, Action]) -> None:
    waiting = WorkflowStep.objects.filter(workflow=workflow, status=WorkflowStep.WAITING, wake_at__lte=now())
    for step in waiting.order_by("position"):
        if step.type == "wait":
            steps.complete(step, workflow, {"until": iso(step.wake_at)})
        elif step.type == "approval":
            approvals.too_late(step, workflow, questions)
        else:
            kinds.start(step, Going.on(workflow))
        if step.status in WorkflowStep.FINISHED:
            engine.after(workflow, step)


_last_seen = {"running": ""}


def sweep() -> None:
    """Behind every wake-up: whatever is due, and, now and then, whatever is running at all."""
    due = WorkflowStep.objects.filter(status=WorkflowStep.WAITING, wake_at__lte=Now()).values("workflow_id")
    running = Workflow.objects.filter(status=Workflow.RUNNING).order_by("pk")
    late = running.filter(deadline_at__lte=Now()).values_list("pk", flat=True)[:AT_ONCE]
    waiting = running.filter(pk__in=due).values_list("pk", flat=True)[:AT_ONCE]
    for workflow_id in dict.fromkeys(chain(late, waiting)):
        wake(workflow_id)
    for workflow_id in _standing():
        engine.advance(workflow_id)
    lifecycle.let_go_of_all()


def _standing() -> list[str]:
    """Of the next running workflows, those in which no step runs or waits: nothing would ever move them again."""
    running = Workflow.objects.filter(status=Workflow.RUNNING, pk__gt=_last_seen["running"]).order_by("pk")
    seen = list(running.values_list("pk", flat=True)[:LOOKED_AT])
    _last_seen["running"] = seen[-1] if len(seen) == LOOKED_AT else ""
    live = WorkflowStep.objects.filter(workflow=OuterRef("pk"), status__in=WorkflowStep.LIVE)
    return list(Workflow.objects.filter(~Exists(live), pk__in=seen).values_list("pk", flat=True))
