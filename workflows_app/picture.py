"""The picture of a workflow, as its steps are now."""

from .drawing import Drawn, mermaid, svg
from .models import Workflow, WorkflowStep

DRAWERS = {"svg": svg, "mermaid": mermaid}


def of(workflow: Workflow, form: str = "svg") -> str:
    """Its graph as `svg` or `mermaid`."""
    steps = WorkflowStep.objects.filter(workflow=workflow).order_by("position").defer("result")
    return DRAWERS[form]([_drawn(step) for step in steps])


def _drawn(step: WorkflowStep) -> Drawn:
    depends_on = tuple(step.definition.get("dependsOn", ()))
    return Drawn(id=step.key, name=step.name, type=step.type, status=step.status, depends_on=depends_on)
