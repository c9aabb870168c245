"""Taking agents out of service: draining them, deleting them."""

import contextlib

from django.db import transaction
from django.db.models import Exists, OuterRef

from taskmaster.core.clock import now
from taskmaster.core.errors import InvalidState, NotFound

from . import dispatch, leases, registry, routing
from .models import Agent, Task

AT_ONCE = 500


def drain(agent: Agent) -> None:
    """What it runs goes on, it starts nothing new, and once it is through it is paused."""
    if agent.status != Agent.PAUSED:
        registry.set_status(agent, Agent.DRAINING)
        _finish(agent)
        agent.refresh_from_db(fields=["status", "reason"])
    routing.reroute(agent)


def finish() -> None:
    """The sweep: draining agents that run nothing any more are paused, and deleted ones have nothing left to do."""
    for agent in Agent.objects.filter(status=Agent.DRAINING, deleted_at=None)[:500]:
        _finish(agent)
    left = Task.objects.filter(agent=OuterRef("pk"))
    has_work = Exists(left.filter(status=Task.QUEUED)) | Exists(left.exclude(lease=""))
    for agent in Agent.objects.filter(has_work, deleted_at__isnull=False)[:50]:
        _clear(agent)


@transaction.atomic
def _finish(agent: Agent) -> None:
    # Its row is the gate of claims: none can come in between.
    still = Agent.objects.select_for_update(no_key=True).filter(pk=agent.pk, status=Agent.DRAINING).first()
    if still and not leases.held().filter(agent=agent.pk).exists():
        registry.set_status(still, Agent.PAUSED, "Drained.")


def delete(agent: Agent) -> None:
    """Take an agent out of service: what another can do goes to it, the rest is cancelled, a long queue by the sweep.

    Raises NotFound for whoever comes second.
    """
    if not Agent.objects.filter(pk=agent.pk, deleted_at=None).update(deleted_at=now()):
        raise NotFound()
    _clear(agent)


def _clear(agent: Agent) -> None:
    """What runs comes first. Each in a transaction of its own: thousands in one would keep everybody else waiting."""
    if routing.reroute(agent, at_most=AT_ONCE) == AT_ONCE:
        return  # There may be more of that kind.
    unfinished = Task.objects.filter(agent=agent, status__in=Task.UNFINISHED).order_by("-lease", "id")
    for task in unfinished[:AT_ONCE]:
        with contextlib.suppress(InvalidState):
            dispatch.cancel(task)
