"""How long a workflow will probably take."""

from statistics import median

from taskmaster.core.clock import milliseconds
from taskmaster.core.prepared import Select, Slot

from .models import Workflow
from .template_store import Template

HISTORY = 9
# What a step is taken to need until there is a history, in milliseconds.
STEP_MS = {"agent": 60_000, "foreach": 180_000, "http": 5_000, "approval": 0, "condition": 0, "wait": 0}

_RECENT = Select(
    lambda: (
        Workflow.objects.filter(org=Slot("org"), template_key=Slot("key"), status=Workflow.COMPLETED)
        .order_by("-finished_at")
        .only("started_at", "finished_at")[:HISTORY]
    )
)


def estimated_duration(org_id: str, template: Template) -> int:
    """Milliseconds: the median of the last completed runs of that template, else the sum of its steps."""
    recent = _RECENT.all(org=org_id, key=template.key)
    spans = [milliseconds(run.finished_at - run.started_at) for run in recent if run.started_at and run.finished_at]
    if spans:
        return round(median(spans))
    return sum(int(step.get("duration") or STEP_MS[step["type"]]) for step in template.steps)
