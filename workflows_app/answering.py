"""What becomes of a step when its task ends; called in the task's own transaction."""

from agents_app.models import Task

from . import engine, items, results, steps, timers
from .models import Workflow, WorkflowStep


def task_ended(task: Task) -> None:
    """The step has a result, or an error, and the workflow goes on."""
    if task.origin != "step" or task.workflow_id is None:
        return
    workflow, step, freed = engine.locked_at(task.workflow_id, int(task.origin_id))
    if workflow is None or step is None or workflow.status in Workflow.FINISHED:
        return
    if step.type == "foreach":
        if items.task_ended(task, step, workflow):
            engine.after(workflow, step, freed)
        return
    # The task of an earlier attempt has nothing to say any more.
    if step.status == WorkflowStep.RUNNING and step.task_id == task.pk and _end(step, workflow, task):
        engine.after(workflow, step, freed)


def _end(step: WorkflowStep, workflow: Workflow, task: Task) -> bool:
    """Whether the step has ended with its task, or is tried again."""
    if task.status == Task.FAILED and steps.has_another_attempt(step):
        timers.wake_at(workflow.pk, steps.try_later(step, workflow, task.error or "The task failed."))
        return False
    if task.status == Task.COMPLETED:
        steps.complete(step, workflow, results.of(task))
    elif task.status == Task.FAILED:
        steps.fail(step, workflow, task.error or "The task failed.", code=task.error_code or "agent_failed")
    else:
        steps.fail(step, workflow, "Its task was cancelled.", code="task_cancelled")
    return True
