"""`foreach`: one task for each item of a list, so many at a time; the step ends with the last of them."""

from typing import Any

from agents_app import dispatch
from agents_app.models import Task
from taskmaster.core.errors import NoAgent
from taskmaster.core.prepared import insert

from . import kinds, results, steps
from .models import StepItem, Workflow, WorkflowStep
from .prompts import BadTemplate
from .variables import Variables

MOST, PARALLEL = 1_000, 5
ENDED = (WorkflowStep.COMPLETED, WorkflowStep.FAILED, WorkflowStep.CANCELLED)


def begin(step: WorkflowStep, workflow: Workflow, variables: Variables) -> None:
    """Read the list, and start the first items."""
    found = variables.evaluate(step.definition["items"])
    if not isinstance(found, list):
        raise BadTemplate(f"items: {step.definition['items']!r} is not a list")
    if len(found) > MOST:
        raise BadTemplate(f"items: at most {MOST}, not {len(found)}")
    StepItem.objects.filter(step=step).delete()
    insert([StepItem(step=step, index=index, value=value) for index, value in enumerate(found)])
    if not found:
        steps.complete(step, workflow, {"items": []})
        return
    steps.run(step, workflow)
    _fill(step, workflow, variables)


def task_ended(task: Task, step: WorkflowStep, workflow: Workflow) -> bool:
    """An item's task has ended; starts the next ones. True where the step has ended with it."""
    item = StepItem.objects.filter(step=step, task_id=task.pk, status=WorkflowStep.RUNNING).first()
    if item is None or step.status != WorkflowStep.RUNNING:
        return False
    inner = step.definition["step"]
    if task.status == Task.FAILED and item.attempt <= int(inner.get("retries", 0)):
        item.status, item.error = WorkflowStep.PENDING, task.error
    else:
        item.status, item.error = task.status, task.error
        item.result = results.of(task) if task.status == Task.COMPLETED else None
    item.save(update_fields=["status", "error", "result"])
    if workflow.status == Workflow.RUNNING:
        _fill(step, workflow, Variables(workflow))
    return _joined(step, workflow)


def resume(step: WorkflowStep, workflow: Workflow, variables: Variables) -> bool:
    """Go on after a pause. True where the step has ended meanwhile."""
    _fill(step, workflow, variables)
    return _joined(step, workflow)


def _fill(step: WorkflowStep, workflow: Workflow, variables: Variables) -> None:
    items = StepItem.objects.filter(step=step)
    room = int(step.definition.get("parallel", PARALLEL)) - items.filter(status=WorkflowStep.RUNNING).count()
    for item in items.filter(status=WorkflowStep.PENDING).order_by("index")[: max(0, room)]:
        _start(item, step, workflow, variables)


def _start(item: StepItem, step: WorkflowStep, workflow: Workflow, variables: Variables) -> None:
    inner = step.definition["step"]
    try:
        prompt = variables.render(inner["prompt"], item=item.value, index=item.index)
        task = kinds.task_for(step, workflow, inner, prompt=prompt)
    except (BadTemplate, NoAgent) as error:
        item.status, item.error = WorkflowStep.FAILED, str(error)
        item.save(update_fields=["status", "error"])
        return
    item.status, item.task_id, item.attempt = WorkflowStep.RUNNING, task.pk, item.attempt + 1
    item.save(update_fields=["status", "task_id", "attempt"])
    dispatch.submit(task)


def _joined(step: WorkflowStep, workflow: Workflow) -> bool:
    found = list(StepItem.objects.filter(step=step).order_by("index"))
    ended = [item for item in found if item.status in ENDED]
    step.progress = len(ended) / len(found)
    if len(ended) < len(found):
        WorkflowStep.objects.filter(pk=step.pk).update(progress=step.progress)
        return False
    failed = [item for item in found if item.status != WorkflowStep.COMPLETED]
    shown: list[Any] = [item.result for item in found]
    if failed and step.definition["step"].get("onFailure") != "continue":
        first = failed[0]
        steps.fail(step, workflow, f"item {first.index}: {first.error or first.status}", code="item_failed")
    else:
        steps.complete(step, workflow, {"items": shown, "failed": [item.index for item in failed]})
    return True
