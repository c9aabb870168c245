"""`foreach`: one task for each item of a list, so many at a time; the step ends with the last of them."""

from collections import Counter
from typing import Any

import orjson
from django.db import models
from django.db.models import Count

from agents_app import dispatch
from agents_app.models import Task
from taskmaster.core.clock import now
from taskmaster.core.errors import NoAgent
from taskmaster.core.inserts import insert
from taskmaster.core.prepared import Columns, Select, Slot, Update

from . import kinds, results, steps
from .going import Going
from .models import StepItem, Workflow, WorkflowStep
from .prompts import BadTemplate

MOST, PARALLEL = 1_000, 5
PENDING, RUNNING = UNFINISHED = WorkflowStep.PENDING, WorkflowStep.RUNNING


def _step() -> Slot:
    return Slot("step", models.BigIntegerField())


_OF_TASK = Select(lambda: StepItem.objects.filter(step=_step(), task_id=Slot("task"), status=RUNNING).order_by())
_COUNTS = Columns(
    lambda: (
        StepItem.objects.filter(step=_step())
        .order_by()
        .values("status")
        .annotate(count=Count("*"))
        .values_list("status", "count")
    )
)
# Items start in their order, so that the next one comes after any that has been started.
_NEXT = Select(
    lambda: StepItem.objects.filter(
        step=_step(), status=PENDING, index__gte=Slot("index", models.IntegerField())
    ).order_by("index")[:1]
)

_STORE = Update(
    lambda: StepItem.objects.filter(pk=Slot("pk", models.BigIntegerField())),
    status=Slot("status"),
    task_id=Slot("task_id"),
    attempt=Slot("attempt", models.IntegerField()),
    result=Slot("result"),
    error=Slot("error"),
)
_PROGRESS = Update(
    lambda: WorkflowStep.objects.filter(pk=Slot("pk", models.BigIntegerField())),
    progress=Slot("progress", models.FloatField()),
)


def begin(step: WorkflowStep, going: Going) -> None:
    """Read the list, and start the first items. Where the step is retried, those that have completed stay so."""
    found = going.variables.evaluate(step.definition["items"])
    if not isinstance(found, list):
        raise BadTemplate(f"items: {step.definition['items']!r} is not a list")
    if len(found) > MOST:
        raise BadTemplate(f"items: at most {MOST}, not {len(found)}")
    done = _still_done(step, found)
    insert([StepItem(step=step, index=at, value=value) for at, value in enumerate(found) if at not in done])
    if not found:
        steps.complete(step, going.workflow, {"items": [], "failed": []})
        return
    steps.run(step, going.workflow)
    resume(step, going)


def _still_done(step: WorkflowStep, found: list[Any]) -> set[int]:
    """The places of the items that an earlier attempt has completed and that are as they were; the others go."""
    completed = StepItem.objects.filter(step=step, status=WorkflowStep.COMPLETED).values_list("index", "value")
    done = {index for index, value in completed if found[index : index + 1] == [value]}
    StepItem.objects.filter(step=step).exclude(index__in=done).delete()
    return done


def task_ended(task: Task, step: WorkflowStep, going: Going) -> bool:
    """An item's task has ended; starts the next one. True where the step has ended with it."""
    item = _OF_TASK.first(step=step.pk, task=task.pk)
    if item is None or step.status != RUNNING:
        return False
    inner = step.definition["step"]
    if task.status == Task.FAILED and item.attempt <= int(inner.get("retries", 0)):
        item.status, item.error = PENDING, task.error
    else:
        item.status, item.error = task.status, task.error
        item.result = results.of(task, step.definition["step"]) if task.status == Task.COMPLETED else None
    _store(item)
    first = item.index if item.status == PENDING else item.index + 1
    return _go_on(step, going, first=first)


def resume(step: WorkflowStep, going: Going) -> bool:
    """Start as many as may run at once. True where the step has ended meanwhile."""
    return _go_on(step, going, first=0)


def _go_on(step: WorkflowStep, going: Going, *, first: int) -> bool:
    """Fill what room there is with the items from `first` on, and end the step with the last of them."""
    counts = Counter[str](dict(_COUNTS.all(step=step.pk)))
    parallel = int(step.definition.get("parallel", PARALLEL))
    while going.workflow.status == Workflow.RUNNING and counts[PENDING] and counts[RUNNING] < parallel:
        item = _NEXT.first(step=step.pk, index=first) or _NEXT.first(step=step.pk, index=0)
        if item is None:
            break
        # One that cannot be started leaves its place to the next.
        _start(item, step, going)
        counts.update({PENDING: -1, item.status: 1})
        first = item.index + 1
    left, total = counts[PENDING] + counts[RUNNING], counts.total()
    if left:
        step.progress = (total - left) / total
        _PROGRESS.later(pk=step.pk, progress=step.progress)
    else:
        _end(step, going.workflow)
    return not left


def _start(item: StepItem, step: WorkflowStep, going: Going) -> None:
    inner = step.definition["step"]
    try:
        prompt = going.variables.render(inner["prompt"], item=item.value, index=item.index)
        task = kinds.task_for(step, going, inner, prompt=prompt)
        # It has its place while it waits for its next attempt.
        task.not_before = now() + steps.pause_after(item.attempt, inner) if item.attempt else None
    except (BadTemplate, NoAgent) as error:
        item.status, item.error = WorkflowStep.FAILED, str(error)
        _store(item)
        return
    item.status, item.task_id, item.attempt = RUNNING, task.pk, item.attempt + 1
    _store(item)
    dispatch.submit(task)


def _store(item: StepItem) -> None:
    result = None if item.result is None else orjson.dumps(item.result).decode()
    changed: dict[str, Any] = {
        "status": item.status,
        "task_id": item.task_id,
        "attempt": item.attempt,
        "error": item.error,
    }
    _STORE.later(pk=item.pk, result=result, **changed)


def _end(step: WorkflowStep, workflow: Workflow) -> None:
    found = list(StepItem.objects.filter(step=step).order_by("index"))
    failed = [item for item in found if item.status != WorkflowStep.COMPLETED]
    shown: list[Any] = [item.result for item in found]
    if failed and step.definition["step"].get("onFailure") != "continue":
        first = failed[0]
        steps.fail(step, workflow, f"item {first.index}: {first.error or first.status}", code="item_failed")
    else:
        steps.complete(step, workflow, {"items": shown, "failed": [item.index for item in failed]})
