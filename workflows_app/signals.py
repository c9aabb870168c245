"""Signals from elsewhere than REST: a socket's frame, by ids alone."""

from typing import Any

from taskmaster.core.errors import NotFound

from . import lifecycle
from .models import Workflow


def signal(*, org_id: str, workflow_id: str, step_id: str, approved: bool, data: Any, by: str) -> dict[str, Any]:
    """Decide an approval step; the step as it is then. Raises NotFound or InvalidState."""
    workflow = Workflow.objects.filter(pk=workflow_id.replace("\0", ""), org=org_id).first()
    if workflow is None:
        raise NotFound("There is no such workflow.")
    return lifecycle.signal(workflow, step_id, approved=approved, data=data, by=by).public()
