"""Taking agents out of service: draining them, deleting them."""

import contextlib

from django.db import transaction

from taskmaster.core.clock import now
from taskmaster.core.errors import InvalidState, NotFound

from . import dispatch, leases, registry, routing
from .models import Agent, Task


def drain(agent: Agent) -> None:
    """What it runs goes on, it starts nothing new, and once it is through it is paused."""
    if agent.status != Agent.PAUSED:
        registry.set_status(agent, Agent.DRAINING)
        _finish(agent)
        agent.refresh_from_db(fields=["status", "reason"])
    routing.reroute(agent)


def finish() -> None:
    """The sweep: draining agents that run nothing any more are paused."""
    for agent in Agent.objects.filter(status=Agent.DRAINING, deleted_at=None)[:500]:
        _finish(agent)


@transaction.atomic
def _finish(agent: Agent) -> None:
    # Its row is the gate of claims: none can come in between.
    still = Agent.objects.select_for_update(no_key=True).filter(pk=agent.pk, status=Agent.DRAINING).first()
    if still and not leases.held().filter(agent=agent.pk).exists():
        registry.set_status(still, Agent.PAUSED, "Drained.")


@transaction.atomic
def delete(agent: Agent) -> None:
    """Take an agent out of service. What any other can do goes to it, the rest is cancelled.

    Raises NotFound for whoever comes second.
    """
    if not Agent.objects.filter(pk=agent.pk, deleted_at=None).update(deleted_at=now()):
        raise NotFound()
    routing.reroute(agent)
    for task in Task.objects.filter(agent=agent, status__in=Task.UNFINISHED):
        with contextlib.suppress(InvalidState):
            dispatch.cancel(task)
