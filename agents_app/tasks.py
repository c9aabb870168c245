"""What Celery runs: a task carries ids and makes one call."""

from celery import shared_task

from . import actions, budgets, dispatch, leases, presence, retiring, routing, runners, spending


@shared_task(name="agents.sweep")
def sweep() -> None:
    """Behind every wake-up: take back what was lost, end what takes too long, and wake every agent that has work."""
    leases.reap()
    runners.take_back()
    runners.time_out()
    presence.tell()
    dispatch.wake_all()


@shared_task(name="agents.tidy.sweep")
def tidy() -> None:
    """What may take a few seconds: agents that are away, questions that are over, sums."""
    retiring.finish()
    routing.spread()
    actions.expire_due()
    budgets.look_again()
    spending.fold()
