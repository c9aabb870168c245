"""What becomes of a step when its task ends; called in the task's own transaction."""

from agents_app.models import Task

from . import engine, items, results, steps, timers
from .models import Workflow, WorkflowStep


def task_ended(task: Task) -> None:
    """The step has a result, or an error, and the workflow goes on."""
    if task.origin != "step" or task.workflow_id is None:
        return
    found = engine.locked_at(task)
    if found is None or found[1].going.workflow.status in Workflow.FINISHED:
        return
    step, ahead = found
    if step.type == "foreach":
        ended = items.task_ended(task, step, ahead.going)
    else:
        # The task of an earlier attempt has nothing to say any more.
        mine = step.status == WorkflowStep.RUNNING and step.task_id == task.pk
        ended = mine and _end(step, ahead.going.workflow, task)
    if ended:
        engine.after(ahead.going.workflow, step, ahead)


def _end(step: WorkflowStep, workflow: Workflow, task: Task) -> bool:
    """Whether the step has ended with its task, or is tried again."""
    if task.status == Task.FAILED and steps.has_another_attempt(step):
        timers.wake_at(workflow.pk, steps.try_later(step, workflow, task.error or "The task failed."))
        return False
    if task.status == Task.COMPLETED:
        steps.complete(step, workflow, results.of(task, step.definition))
    elif task.status == Task.FAILED:
        steps.fail(step, workflow, task.error or "The task failed.", code=task.error_code or "agent_failed")
    else:
        steps.fail(step, workflow, "Its task was cancelled.", code="task_cancelled")
    return True
