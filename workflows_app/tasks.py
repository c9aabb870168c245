"""What Celery runs for workflows."""

from celery import shared_task

from taskmaster.core.clock import now

from . import scheduling
from .waking import sweep as wake_what_is_due


@shared_task(name="workflows.sweep")
def sweep() -> None:
    """Behind every wake-up."""
    wake_what_is_due()


@shared_task(name="workflows.schedules.sweep")
def run_schedules() -> None:
    """Start what is due by its schedule."""
    scheduling.run_due(now())
