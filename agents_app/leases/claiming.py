"""Claiming: the best waiting tasks of an agent, never more than it may run."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

from django.db import connection, models
from django.db.models import Count, F, Max, Q, QuerySet, Value
from django.db.models.functions import Coalesce, Now

from agents_app import budgets
from agents_app.models import Agent, Task
from agents_app.org_limits import org_limits
from taskmaster.core.bundles import one_transaction
from taskmaster.core.clock import now
from taskmaster.core.database import commit_without_waiting
from taskmaster.core.prepared import Columns, Select, Slot, Update, ask
from taskmaster.core.subscriptions import notify
from taskmaster.events.log import record, together
from taskmaster.orgs.models import Organization

from .held import LEASE_SECONDS, held

# The most that one claim takes.
AT_MOST = 16
# An agent in error is tried again now and then.
AVAILABLE = Q(status=Agent.ACTIVE) | Q(status=Agent.ERROR, retry_at__lte=Now())


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker holds: the tasks it must run, and whether the agent has more that it could take."""

    tasks: list[Task]
    more: bool


def _busy_sessions() -> "QuerySet[Any, Any]":
    """How many tasks each session has running, as `there` and `count`."""
    # Grouped by an expression, SQLite goes through what is held and not through all that the sessions ever had.
    by_session = held().order_by().annotate(there=Coalesce("session_id", Value(""))).values("there")
    return by_session.annotate(count=Count("*"))


def runnable() -> "QuerySet[Task]":
    """An agent's queue, best first: higher priority, then first come, without those whose session is at its limit."""
    # Worked out once for the whole queue, and only where it has tasks with a limit.
    full = _busy_sessions().annotate(most=Max("session_limit")).filter(count__gte=F("most")).values("there")
    queued = Task.objects.filter(Q(not_before=None) | Q(not_before__lte=Now()), agent=Slot("agent"), status=Task.QUEUED)
    return queued.filter(Q(session_limit=None) | ~Q(session_id__in=full)).order_by("-priority", "id")


_GATE = Select(lambda: Agent.objects.select_for_update(no_key=True).filter(AVAILABLE, pk=Slot("pk"), deleted_at=None))
_HELD = Columns(
    lambda: (
        held().filter(agent=Slot("agent")).order_by().values("agent_id").annotate(count=Count("*")).values_list("count")
    )
)


def _first(limit: int) -> "QuerySet[Task]":
    # Held, so that nothing can come between the look and the lease; what somebody else writes to is left out.
    return runnable().select_for_update(no_key=True, skip_locked=True)[:limit]


# One more than is wanted, to see whether there is more.
_RUNNABLE = [Select(partial(_first, wanted + 1)) for wanted in range(AT_MOST + 1)]
_WAITING = Columns(lambda: Task.objects.filter(agent=Slot("agent"), status=Task.QUEUED).values_list("id")[:1])


@cache
def _leasing(seconds: float) -> Update:
    return Update(
        lambda: Task.objects.filter(pk=Slot("pk"), agent=Slot("agent"), status=Task.QUEUED),
        status=Task.RUNNING,
        lease=Slot("lease"),
        worker_id=Slot("worker"),
        lease_expires_at=Now() + timedelta(seconds=seconds),
        attempts=F("attempts") + 1,
        started_at=Slot("now", models.DateTimeField()),
        progress=0,
    )


def claim(
    agent_id: str,
    worker_id: str,
    at_most: int,
    *,
    ready: Callable[[Agent], bool],
    seconds: float = LEASE_SECONDS,
    lossy: bool = True,
) -> Claim:
    """Lease up to `at_most` of an agent's waiting tasks, never more than the agent may run at once.

    `ready` says whether this worker can run that agent's backend at the moment; the leases are for `seconds`. A lossy
    claim does not wait for the disk: lost in a crash, it leaves the task waiting and its holder without the lease.
    """
    with one_transaction():
        if lossy:
            commit_without_waiting()
        at_most = min(at_most, AT_MOST)
        # The agent's row is the gate: of many claims at once each sees what the one before it took.
        agents, held_now, found = ask(
            (_GATE, {"pk": agent_id}), (_HELD, {"agent": agent_id}), (_RUNNABLE[at_most], {"agent": agent_id})
        )
        if not agents or not ready(agents[0]):
            return Claim([], more=False)
        free = _room(agents[0], int(held_now[0][0]) if held_now else 0)
        wanted = max(0, min(free, at_most))
        tasks = budgets.within(_within_session_limits(found[:wanted]))
        tasks = _lease(tasks, agents[0], worker_id, seconds) if tasks else []
        return Claim(tasks, more=len(found) > len(tasks) and free > len(tasks))


def _room(agent: Agent, running: int) -> int:
    """How many more tasks this agent may run now; one in error is tried with one at a time."""
    free = (1 if agent.status == Agent.ERROR else agent.max_concurrent_tasks) - running
    of_org = org_limits.of(agent.org_id).max_running
    if of_org is None or free <= 0:
        return free
    # The organization's row is the gate of all its agents; an agent's own row comes first, everywhere.
    Organization.objects.select_for_update(no_key=True).get(pk=agent.org_id)
    return min(free, of_org - held().filter(org=agent.org_id).count())


def has_waiting(agent_id: str) -> bool:
    """Whether an agent has anything in its queue: cheaper than a claim in vain."""
    return bool(_WAITING.all(agent=agent_id))


def _within_session_limits(tasks: list[Task]) -> list[Task]:
    """Those that still fit their session when claims for it by several agents take turns."""
    limited = {task.session_id for task in tasks if task.session_limit is not None and task.session_id}
    if len(limited) == len(tasks) == 1 and tasks[0].origin == "message":
        return tasks  # A session's messages run one at a time; its turn was given under the session's lock.
    for session_id in sorted(limited):
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(1, hashtext(%s))", [session_id])
    busy = dict(_busy_sessions().filter(there__in=limited).values_list("there", "count")) if limited else {}
    return [task for task in tasks if task.session_limit is None or task.session_id is None or _fits(task, busy)]


def _fits(task: Task, busy: dict[str, int]) -> bool:
    """Whether its session may run one more, which is then counted."""
    session_id = task.session_id or ""
    fits = busy.get(session_id, 0) < (task.session_limit or 0)
    busy[session_id] = busy.get(session_id, 0) + int(fits)
    return fits


def _lease(tasks: list[Task], agent: Agent, worker_id: str, seconds: float) -> list[Task]:
    lease, moment, leasing = secrets.token_urlsafe(24), now(), _leasing(seconds)
    about: dict[str, Any] = {"agent": agent.pk, "lease": lease, "worker": worker_id, "now": moment}
    for task in tasks:
        leasing.later(pk=task.pk, **about)
        hold(task, agent, worker_id, lease, moment)
    with together():
        for task in tasks:
            tell_of_start(task)
    return tasks


def hold(task: Task, agent: Agent, worker_id: str, lease: str, moment: datetime) -> None:
    """It is leased: in memory what the row is about to say."""
    task.status, task.lease, task.worker_id, task.started_at = Task.RUNNING, lease, worker_id, moment
    task.attempts, task.progress, task.agent = task.attempts + 1, 0, agent


def tell_of_start(task: Task) -> None:
    """The news of a claim."""
    record(task.org_id, ("task.started", task.news(attempt=task.attempts)))
    notify("task.started", task)
