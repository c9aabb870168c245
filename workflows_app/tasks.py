"""What Celery runs for workflows."""

from celery import shared_task

from .waking import sweep as wake_what_is_due


@shared_task(name="workflows.sweep")
def sweep() -> None:
    """Behind every wake-up."""
    wake_what_is_due()
