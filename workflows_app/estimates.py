"""How long a workflow will probably take."""

from statistics import median

from taskmaster.core.clock import milliseconds

from .models import Workflow
from .template_store import Template

HISTORY = 9
# What a step is taken to need until there is a history, in milliseconds.
STEP_MS = {"agent": 60_000, "foreach": 180_000, "http": 5_000, "approval": 0, "condition": 0, "wait": 0}


def estimated_duration(org_id: str, template: Template) -> int:
    """Milliseconds: the median of the last completed runs of that template, else the sum of its steps."""
    finished = Workflow.objects.filter(org=org_id, template_key=template.key, status=Workflow.COMPLETED)
    recent = finished.order_by("-finished_at").values_list("started_at", "finished_at")[:HISTORY]
    spans = [milliseconds(ended - began) for began, ended in recent if began and ended]
    if spans:
        return round(median(spans))
    return sum(int(step.get("duration") or STEP_MS[step["type"]]) for step in template.steps)
