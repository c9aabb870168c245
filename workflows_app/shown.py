"""A workflow as the API shows it: with its steps, each with its timeline."""

from collections import defaultdict
from typing import Any

from agents_app.models import Task
from taskmaster.core.prepared import Select, Slot, ask

from .models import StepAttempt, Workflow, WorkflowStep

_STEPS = Select(lambda: WorkflowStep.objects.filter(workflow=Slot("workflow")).order_by("position"))
_ATTEMPTS = Select(lambda: StepAttempt.objects.filter(step__workflow=Slot("workflow")).order_by("number"))


def whole(workflow: Workflow) -> dict[str, Any]:
    """The workflow with its steps in order."""
    found, tries = ask((_STEPS, {"workflow": workflow.pk}), (_ATTEMPTS, {"workflow": workflow.pk}))
    attempts: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for attempt in tries:
        attempts[attempt.step_id].append(attempt.public())
    running = [step.task_id for step in found if step.status == WorkflowStep.RUNNING and step.task_id]
    progress = dict(Task.objects.filter(pk__in=running).values_list("pk", "progress")) if running else {}
    steps = []
    for step in found:
        step.progress = progress.get(step.task_id, step.progress)
        steps.append(step.public() | {"attempts": attempts[step.pk]})
    return workflow.public() | {"steps": steps}
