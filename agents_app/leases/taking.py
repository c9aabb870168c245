"""Taking what follows: a task that is not stored yet goes at once to the worker that has brought it about."""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, QuerySet, Subquery
from django.db.models.functions import Coalesce

from agents_app.models import Agent, Task
from agents_app.org_limits import NO_LIMIT, org_limits
from taskmaster.core.clock import now
from taskmaster.core.prepared import Asked, Columns, Slot

from .claiming import hold
from .held import LEASE_SECONDS, expiry, held


def _free() -> "QuerySet[Any, Any]":
    active = Agent.objects.filter(pk=Slot("pk"), status=Agent.ACTIVE, deleted_at=None)
    return active.select_for_update(no_key=True, skip_locked=True).values_list("pk")


# Never waited for: whoever takes what follows from a task holds that task, and more, by then.
_GATE_IF_FREE = Columns(_free)
_OPEN_GATE = Columns(_free, shared=True)
_LOAD = Columns(
    lambda: Agent.objects.filter(pk=Slot("agent")).values_list(
        F("max_concurrent_tasks") - Coalesce(Subquery(_held_now()), 0), expiry()
    )
)
# So many that wait are looked at: whether there is a place for each of them.
FEW = 20
_SOME_WAITING = Columns(lambda: Task.objects.filter(agent=Slot("agent"), status=Task.QUEUED).values_list("id")[:FEW])


def _held_now() -> "QuerySet[Any, Any]":
    of_agent = held().filter(agent=Slot("agent")).order_by().values("agent_id")
    return of_agent.annotate(count=Count("*")).values("count")


def before_taking(agent_id: str, *, instead: bool) -> tuple[Asked, ...]:
    """What `take` must know of an agent, asked in the transaction in which it takes.

    `instead` of a task of the same agent, which ends in this transaction, many may take one at once: the agent runs
    as many as before. In any other case its row is the gate, as for a claim.
    """
    gate, agent = _OPEN_GATE if instead else _GATE_IF_FREE, {"agent": agent_id}
    return (gate, {"pk": agent_id}), (_LOAD, agent), (_SOME_WAITING, agent)


def take(task: Task, worker_id: str, known: list[list[Any]], *, ready: Callable[[Agent], bool]) -> bool:
    """Lease a task that is not stored yet; False, and it queues, unless a claim would give it out at once.

    That is: its agent has a place for it and for everything that waits, and no limit has to be looked at. `known` is
    what `before_taking` has asked.
    """
    open_, load, waiting = known
    if not open_ or not load or task.session_id or org_limits.of(task.org_id) != NO_LIMIT:
        return False
    room, expires = load[0]
    if len(waiting) >= min(FEW, room) or not ready(task.agent):
        return False
    task.lease_expires_at = expires if isinstance(expires, datetime) else now() + timedelta(seconds=LEASE_SECONDS)
    hold(task, task.agent, worker_id, secrets.token_urlsafe(24), now())
    return True
