"""What a time brings about: waits end, questions grow stale, attempts begin, runs take too long."""

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from taskmaster.core.clock import now
from taskmaster.events.log import together

from . import approvals, engine, kinds, lifecycle, steps
from .models import Workflow, WorkflowStep
from .variables import Variables

TOO_LONG = "The run took longer than its timeout."


def wake(workflow_id: str) -> None:
    """Do what is due in this workflow, and whatever else it can do."""
    with transaction.atomic():
        workflow = engine.locked(workflow_id)
        if workflow is None or workflow.status != Workflow.RUNNING:
            return
        with together():
            if workflow.deadline_at is not None and workflow.deadline_at <= now():
                lifecycle.end_steps(workflow)
                engine.finish(workflow, Workflow.FAILED, error=TOO_LONG)
            else:
                _due(workflow)
    if workflow.status in Workflow.FINISHED:
        lifecycle.let_go(workflow)
    else:
        engine.advance(workflow_id)


def _due(workflow: Workflow) -> None:
    waiting = WorkflowStep.objects.filter(workflow=workflow, status=WorkflowStep.WAITING, wake_at__lte=now())
    for step in waiting.order_by("position"):
        if step.type == "wait":
            steps.complete(step, workflow, {"until": None})
        elif step.type == "approval":
            _late(step, workflow)
        else:
            kinds.start(step, workflow, Variables(workflow))
        if step.status in WorkflowStep.FINISHED:
            engine.after(workflow, step)


def _late(step: WorkflowStep, workflow: Workflow) -> None:
    if step.definition.get("onTimeout") == "continue":
        steps.complete(step, workflow, {"approved": False, "data": None, "decidedBy": None})
    else:
        steps.fail(step, workflow, "Nobody decided in time.", code=approvals.LATE)


def sweep() -> None:
    """Behind every wake-up: whatever is due, and, now and then, whatever is running at all."""
    late = Q(deadline_at__lte=Now())
    due = WorkflowStep.objects.filter(status=WorkflowStep.WAITING, wake_at__lte=Now()).values("workflow_id")
    running = Workflow.objects.filter(late | Q(pk__in=due), status=Workflow.RUNNING)
    for workflow_id in running.values_list("pk", flat=True)[:500]:
        wake(workflow_id)
    lifecycle.let_go_of_all()
