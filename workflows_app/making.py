"""Making a workflow of a template: its rows, each step with its overrides, and what needs what."""

from typing import Any

from taskmaster.core.bundles import one_transaction
from taskmaster.core.inserts import insert
from taskmaster.core.prepared import Columns, Slot
from taskmaster.events.log import record
from taskmaster.orgs.models import Organization

from .definitions import with_overrides
from .models import StepLink, Workflow, WorkflowStep
from .template_store import Template

_IDS = Columns(lambda: WorkflowStep.objects.filter(workflow=Slot("workflow")).values_list("key", "pk"))


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
    definitions, _ = with_overrides(template.steps, step_data)
    with one_transaction():
        insert([workflow])
        insert([_step(workflow, position, definition) for position, definition in enumerate(definitions)])
        _link(workflow, definitions)
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


def _link(workflow: Workflow, definitions: list[dict[str, Any]]) -> None:
    ids = dict(_IDS.all(workflow=workflow.pk))
    insert(
        StepLink(step_id=ids[definition["id"]], needs_id=ids[needed])
        for definition in definitions
        for needed in dict.fromkeys(definition.get("dependsOn", []))
    )
