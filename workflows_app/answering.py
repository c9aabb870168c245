"""What becomes of a step when its task ends; called in the task's own transaction."""

from agents_app.models import Task

from . import engine, items, results, steps
from .models import Workflow, WorkflowStep


def task_ended(task: Task) -> None:
    """The step has a result, or an error, and the workflow goes on."""
    if task.origin != "step" or task.workflow_id is None:
        return
    workflow = engine.locked(task.workflow_id)
    step = WorkflowStep.objects.filter(pk=int(task.origin_id)).first()
    if workflow is None or step is None or workflow.status in Workflow.FINISHED:
        return
    if step.type == "foreach":
        if items.task_ended(task, step, workflow):
            engine.after(workflow, step)
        return
    # The task of an earlier attempt has nothing to say any more.
    if step.status != WorkflowStep.RUNNING or step.task_id != task.pk:
        return
    if task.status == Task.COMPLETED:
        steps.complete(step, workflow, results.of(task))
    elif task.status == Task.FAILED and steps.has_another_attempt(step):
        steps.try_later(step, workflow, task.error or "The task failed.")
        return
    elif task.status == Task.FAILED:
        steps.fail(step, workflow, task.error or "The task failed.", code=task.error_code or "agent_failed")
    else:
        steps.fail(step, workflow, "Its task was cancelled.", code="task_cancelled")
    engine.after(workflow, step)
