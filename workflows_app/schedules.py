"""Schedules: made, changed and deleted. When they run is `scheduling`'s business."""

from typing import Any

from django.db import transaction

from taskmaster.core.clock import now
from taskmaster.core.errors import InvalidState
from taskmaster.orgs.models import Organization

from . import lifecycle
from .cron import next_run
from .launching import check_data
from .models import Schedule, Workflow
from .template_store import find

# What changes when the next run is.
TIMING = frozenset({"cron", "time_zone", "enabled"})


def create(*, org: Organization, **fields: Any) -> Schedule:
    """A new schedule. Raises NotFound for its template, ValidationFailed for overrides that it does not take."""
    schedule = Schedule(org=org, **fields)
    name = _check(schedule)
    schedule.name = schedule.name or name
    schedule.next_run_at = _next(schedule)
    schedule.save(force_insert=True)
    return schedule


def change(schedule: Schedule, fields: dict[str, Any]) -> None:
    """Change some fields. Raises as `create` does."""
    for name, value in fields.items():
        setattr(schedule, name, value)
    if fields.keys() & {"template_key", "workflow_data"}:
        _check(schedule)
    changes = dict(fields)
    if fields.keys() & TIMING:
        changes["next_run_at"] = schedule.next_run_at = _next(schedule)
    if changes:
        # Not the whole row: a run may write to it at this moment.
        Schedule.objects.filter(pk=schedule.pk).update(**changes)


def delete(schedule: Schedule) -> None:
    """Delete it, and cancel the runs that wait for their turn; those that have begun go on."""
    with transaction.atomic():
        Schedule.objects.filter(pk=schedule.pk).delete()
        waiting = list(Workflow.objects.filter(schedule_id=schedule.pk, status=Workflow.CREATED))
    for workflow in waiting:
        try:
            lifecycle.cancel(workflow)
        except InvalidState:
            continue  # Somebody has started or cancelled it.


def _check(schedule: Schedule) -> str:
    """The template must be there and take the overrides; returns its name."""
    template = find(schedule.org, schedule.template_key)
    check_data(template, schedule.workflow_data)
    return template.name


def _next(schedule: Schedule) -> Any:
    return next_run(schedule.cron, schedule.time_zone, now()) if schedule.enabled else None
