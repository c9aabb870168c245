"""How long a workflow will probably take."""

from collections.abc import Mapping
from graphlib import TopologicalSorter
from statistics import median

from taskmaster.core.clock import milliseconds
from taskmaster.core.prepared import Select, Slot

from .definitions import Step
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
    """Milliseconds: the median of the last completed runs of that template, else the longest way through its steps."""
    recent = _RECENT.all(org=org_id, key=template.key)
    spans = [milliseconds(run.finished_at - run.started_at) for run in recent if run.started_at and run.finished_at]
    if spans:
        return round(median(spans))
    return _longest_way({step["id"]: step for step in template.steps})


def _longest_way(steps: Mapping[str, Step]) -> int:
    ends: dict[str, int] = {}
    for id in TopologicalSorter({id: step["dependsOn"] for id, step in steps.items()}).static_order():
        begin = max((ends[needed] for needed in steps[id]["dependsOn"]), default=0)
        ends[id] = begin + int(steps[id].get("duration") or STEP_MS[steps[id]["type"]])
    return max(ends.values(), default=0)
