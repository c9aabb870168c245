"""Making a workflow of a template: its rows, each step with its overrides, and what needs what."""

from typing import Any

from django.db import transaction

from taskmaster.core.prepared import insert
from taskmaster.events.log import record
from taskmaster.orgs.models import Organization

from .definitions import with_overrides
from .models import StepLink, Workflow, WorkflowStep
from .template_store import Template


@transaction.atomic
def make(
    *,
    org: Organization,
    template: Template,
    name: str,
    context: dict[str, Any],
    step_data: dict[str, Any],
    schedule_id: str | None = None,
    trigger_id: str | None = None,
) -> Workflow:
    """A new workflow, not started. `step_data` has been checked against the template."""
    workflow = Workflow(
        org=org,
        template_key=template.key,
        template_version=template.version,
        name=name,
        context=context,
        step_data=step_data,
        total=len(template.steps),
        left=len(template.steps),
        schedule_id=schedule_id,
        trigger_id=trigger_id,
    )
    insert([workflow])
    definitions, _ = with_overrides(template.steps, step_data)
    insert([_step(workflow, position, definition) for position, definition in enumerate(definitions)])
    _link(workflow)
    record(org.pk, ("workflow.created", workflow.news()))
    return workflow


def _step(workflow: Workflow, position: int, definition: dict[str, Any]) -> WorkflowStep:
    return WorkflowStep(
        workflow=workflow,
        key=definition["id"],
        position=position,
        name=definition["name"],
        type=definition["type"],
        definition=definition,
        on_failure=definition.get("onFailure", "fail"),
    )


def _link(workflow: Workflow) -> None:
    steps = {step.key: step for step in WorkflowStep.objects.filter(workflow=workflow)}
    insert(
        [
            StepLink(step=step, needs=steps[needed])
            for step in steps.values()
            for needed in dict.fromkeys(step.definition.get("dependsOn", []))
        ]
    )
