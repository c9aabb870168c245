"""What the database of this process has of a workflow."""

from collections import defaultdict
from typing import Any

from agents_app.models import Action, Task
from taskmaster.events.models import Event
from workflows_app import waking
from workflows_app.models import StepAttempt, StepItem, StepLink, Workflow, WorkflowStep

from .legal import Rows, complaints

Json = dict[str, Any]


def check(workflow: str) -> str:
    """Sweep, and raise AssertionError unless its history is legal. Returns its state."""
    waking.sweep()
    wrong = complaints(events_of(workflow), rows_of(workflow))
    assert wrong == [], "\n".join([*wrong, *(f"{kind} {data}" for kind, data in events_of(workflow))])
    return str(Workflow.objects.get(pk=workflow).status)


def events_of(workflow: str) -> list[tuple[str, Json]]:
    """Its events, in the order of writing, which for those of one workflow is that of happening."""
    rows = Event.objects.filter(event_type__regex="^(workflow|task)").order_by("number")
    return [(row.event_type, row.data) for row in rows if row.data.get("workflowId") == workflow]


def rows_of(workflow: str) -> Rows:
    """Its rows."""
    steps = list(WorkflowStep.objects.filter(workflow=workflow).order_by("position"))
    keys = {step.pk: step.key for step in steps}
    needs = defaultdict(list)
    for link in StepLink.objects.filter(step__in=keys):
        needs[keys[link.step_id]].append(keys[link.needs_id])
    return Rows(
        workflow=_plain(Workflow.objects.get(pk=workflow)),
        steps=[_plain(step) | {"needs": needs[step.key]} for step in steps],
        attempts=[_plain(a) | {"key": keys[a.step_id]} for a in StepAttempt.objects.filter(step__in=keys)],
        tasks=[_plain(task) for task in Task.objects.filter(workflow_id=workflow)],
        actions=[_plain(action) for action in Action.objects.filter(workflow_id=workflow)],
        items=[_plain(item) | {"key": keys[item.step_id]} for item in StepItem.objects.filter(step__in=keys)],
    )


def _plain(row: Any) -> Json:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
