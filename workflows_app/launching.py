"""Workflows that somebody asks for: over REST, by a schedule, or by a hook."""

from typing import Any

from agents_app.models import PRIORITIES
from taskmaster.orgs.models import Organization

from .definitions import check_overrides
from .documents import refuse
from .making import make
from .models import Workflow
from .template_store import Template


def made_from(template: Template, *, org: Organization, data: dict[str, Any] | None, **origin: str) -> Workflow:
    """A new workflow of `workflowData`; `origin` is what it came from. Raises ValidationFailed."""
    wanted = data or {}
    check_data(template, wanted)
    return make(
        org=org,
        template=template,
        name=wanted.get("name") or template.name,
        context=wanted.get("context") or {},
        step_data=wanted.get("stepData") or {},
        **origin,
    )


def check_data(template: Template, data: dict[str, Any]) -> None:
    """Raise ValidationFailed for overrides with which the template would not be valid."""
    refuse(check_overrides(template.steps, data.get("stepData") or {}))


def limits_of(execution_context: dict[str, Any] | None) -> dict[str, Any]:
    """What `lifecycle.start` takes of an `executionContext`."""
    wanted = execution_context or {}
    priority = wanted.get("priority")
    return {
        "priority": None if priority is None else PRIORITIES[priority],
        "timeout": wanted.get("timeout"),
        "notifications": wanted.get("notifications", True),
    }
