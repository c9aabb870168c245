"""Telling the event log that an agent's runners have come, or have all gone away."""

from datetime import timedelta

from django.db import transaction
from django.db.models import Q

from taskmaster.core.clock import now
from taskmaster.events.log import record

from .models import Agent
from .runners import BACKEND, GONE, GONE_SECONDS


def tell() -> None:
    """The sweep: each change once, however many sweeps look. Of a paused agent nothing is told before it is resumed."""
    long_ago = now() - timedelta(seconds=GONE_SECONDS)
    agents = Agent.objects.filter(backend=BACKEND, status=Agent.ACTIVE, deleted_at=None)
    for agent in agents.filter(present=False, last_heartbeat__gt=long_ago):
        _turn(agent, Q(last_heartbeat__gt=long_ago), "active", None)
    for agent in agents.filter(present=True, last_heartbeat__lte=long_ago):
        _turn(agent, Q(last_heartbeat__lte=long_ago), "offline", GONE)


@transaction.atomic
def _turn(agent: Agent, still: Q, status: str, reason: str | None) -> None:
    mine = Agent.objects.filter(still, pk=agent.pk, present=agent.present, status=Agent.ACTIVE, deleted_at=None)
    if mine.update(present=not agent.present):
        record(agent.org_id, ("agent.status", {"agentId": agent.pk, "status": status, "reason": reason}))
