"""What Celery runs: a task carries ids and makes one call."""

from celery import shared_task

from . import dispatch, leases
from .executor import executor


@shared_task(name="agents.work")
def work(agent_id: str) -> None:
    """Start what this agent can start now."""
    executor.pull(agent_id)


@shared_task(name="agents.sweep")
def sweep() -> None:
    """Behind every wake-up: take back what was lost, and wake every agent that has work."""
    leases.reap()
    dispatch.wake_all()
