"""What schedules start, and when: each due run once, however many processes look."""

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from taskmaster.core.errors import ApiError, InvalidState

from . import lifecycle
from .cron import next_run
from .launching import limits_of, made_from
from .models import Schedule, Workflow
from .models.schedule import SKIP
from .template_store import find

logger = logging.getLogger(__name__)

AT_ONCE = 200
MOST_QUEUED = 100
ENABLED = Schedule.objects.filter(org__suspended_at=None)


def run_due(moment: datetime) -> None:
    """Start what is due, and what waits for a run that has ended meanwhile."""
    due = ENABLED.filter(next_run_at__lte=moment).order_by("next_run_at").select_related("org")[:AT_ONCE]
    _each(due, lambda schedule: _run(schedule, moment))
    _each(ENABLED.filter(queued=True)[:AT_ONCE], _start_next)


def _each(schedules: Iterable[Schedule], verb: Callable[[Schedule], None]) -> None:
    """One that fails is tried again at the next look, and keeps no other from its run."""
    for schedule in schedules:
        try:
            verb(schedule)
        except Exception as error:
            logger.error("schedule %s: %s", schedule.pk, type(error).__name__, exc_info=error)


@transaction.atomic
def _run(schedule: Schedule, moment: datetime) -> None:
    """One run, however many were missed. Whoever moves `next_run_at` on has it, and holds the row until the end."""
    following = next_run(schedule.cron, schedule.time_zone, moment)
    if not _rows(schedule).filter(next_run_at=schedule.next_run_at).update(next_run_at=following):
        return
    unfinished = _unfinished(schedule).count()
    if unfinished and (schedule.overlap == SKIP or unfinished > MOST_QUEUED):
        _rows(schedule).update(skipped=F("skipped") + 1, last_skipped_at=moment)
    else:
        _rows(schedule).update(**_launched(schedule, moment, at_once=not unfinished))


def _launched(schedule: Schedule, moment: datetime, *, at_once: bool) -> dict[str, Any]:
    """Make the workflow, and start it unless it has to wait; what there is to note of that."""
    try:
        with transaction.atomic():
            template = find(schedule.org, schedule.template_key)
            workflow = made_from(template, org=schedule.org, data=schedule.workflow_data, schedule_id=schedule.pk)
            if at_once:
                _start(workflow, schedule)
    except ApiError as error:
        return {"last_error": str(error)}
    noted = {"last_run_at": moment, "last_workflow_id": workflow.pk, "last_error": None}
    return noted if at_once else noted | {"queued": True}


@transaction.atomic
def _start_next(schedule: Schedule) -> None:
    """Start the run that waits longest, unless one is still on its way."""
    # Held, or a run that is queued at this moment could be forgotten.
    if not Schedule.objects.select_for_update().filter(pk=schedule.pk).exists():
        return
    unfinished = list(_unfinished(schedule).order_by("id"))
    waiting = [workflow for workflow in unfinished if workflow.status == Workflow.CREATED]
    if waiting and len(waiting) == len(unfinished):
        _start(waiting.pop(0), schedule)
    if not waiting:
        _rows(schedule).update(queued=False)


def _start(workflow: Workflow, schedule: Schedule) -> None:
    with suppress(InvalidState):  # Somebody has cancelled it, or started it by hand.
        lifecycle.start(workflow, **limits_of(schedule.execution_context))


def _unfinished(schedule: Schedule) -> Any:
    status = (Workflow.CREATED, *Workflow.STARTED)
    rows = Workflow.objects.filter(schedule_id=schedule.pk, status__in=status)
    return rows.defer("context", "step_data")


def _rows(schedule: Schedule) -> Any:
    return Schedule.objects.filter(pk=schedule.pk)
