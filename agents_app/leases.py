"""Claiming, renewing and ending work. A lease is the right to end one attempt; whoever has lost it changes nothing."""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

import orjson
from django.db import connection, models, transaction
from django.db.models import Count, F, Max, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, Now

from taskmaster.core.bundles import one_transaction
from taskmaster.core.clock import now
from taskmaster.core.database import commit_without_waiting
from taskmaster.core.prepared import Asked, Columns, Select, Slot, Update, ask
from taskmaster.core.subscriptions import notify
from taskmaster.events.log import record, together
from taskmaster.orgs.models import Organization

from . import actions, breaker, budgets, spending
from .models import Agent, Task
from .org_limits import NO_LIMIT, org_limits

LEASE_SECONDS = 10.0
# How often a task may lose its worker before it is given up.
MAX_LOST = 5
# How often a backend's passing failure is tried again, and after how long.
RETRY_AFTER = (timedelta(seconds=1), timedelta(seconds=5), timedelta(seconds=30))
# The code of a failure that says only that the provider takes no more for a while.
LIMITED = "rate_limited"
# The most that one claim takes.
AT_MOST = 16
# An agent in error is tried again now and then.
AVAILABLE = Q(status=Agent.ACTIVE) | Q(status=Agent.ERROR, retry_at__lte=Now())


def held() -> "QuerySet[Task]":
    """The tasks that somebody holds: those that run, and those that wait for a decision with their agent."""
    return Task.objects.exclude(lease="")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker holds: the tasks it must run, and whether the agent has more that it could take."""

    tasks: list[Task]
    more: bool


def _expiry() -> Any:
    return Now() + timedelta(seconds=LEASE_SECONDS)


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


def _free() -> "QuerySet[Any, Any]":
    active = Agent.objects.filter(pk=Slot("pk"), status=Agent.ACTIVE, deleted_at=None)
    return active.select_for_update(no_key=True, skip_locked=True).values_list("pk")


# Never waited for: whoever takes what follows from a task holds that task, and more, by then.
_GATE_IF_FREE = Columns(_free)
_OPEN_GATE = Columns(_free, shared=True)
_LOAD = Columns(
    lambda: Agent.objects.filter(pk=Slot("agent")).values_list(
        F("max_concurrent_tasks") - Coalesce(Subquery(_held_now()), 0), _expiry()
    )
)
# So many that wait are looked at: whether there is a place for each of them.
FEW = 20
_SOME_WAITING = Columns(lambda: Task.objects.filter(agent=Slot("agent"), status=Task.QUEUED).values_list("id")[:FEW])


def _held_now() -> "QuerySet[Any, Any]":
    of_agent = held().filter(agent=Slot("agent")).order_by().values("agent_id")
    return of_agent.annotate(count=Count("*")).values("count")


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


_OUTCOME = {"result", "error", "error_code", "progress", "tokens_used", "backend", "model", "truncated", "finished_at"}
_END = Update(
    lambda: Task.objects.filter(pk=Slot("pk"), lease=Slot("lease"), status__in=Task.HELD),
    status=Slot("status"),
    lease="",
    **dict[str, Any]((name, Slot(name, models.Field())) for name in _OUTCOME),
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
    _hold(task, task.agent, worker_id, secrets.token_urlsafe(24), now())
    return True


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
        _hold(task, agent, worker_id, lease, moment)
    with together():
        for task in tasks:
            tell_of_start(task)
    return tasks


def _hold(task: Task, agent: Agent, worker_id: str, lease: str, moment: datetime) -> None:
    task.status, task.lease, task.worker_id, task.started_at = Task.RUNNING, lease, worker_id, moment
    task.attempts, task.progress, task.agent = task.attempts + 1, 0, agent


def tell_of_start(task: Task) -> None:
    """The news of a claim."""
    record(task.org_id, ("task.started", task.news(attempt=task.attempts)))
    notify("task.started", task)


def renew(worker_id: str, leases: Iterable[tuple[str, str]]) -> set[str]:
    """Renew the leases of these running (task id, lease) pairs. Returns the ids whose lease is still good."""
    ours = dict(leases)
    mine = held().filter(pk__in=ours, worker_id=worker_id)
    if ours:
        # One that somebody is writing to at this moment is renewed the next time: to wait for it, with others of
        # them held, could be to wait for ever.
        with transaction.atomic():
            free = mine.select_for_update(skip_locked=True, no_key=True).values("pk")
            held().filter(pk__in=free, worker_id=worker_id).update(lease_expires_at=_expiry())
    return {pk for pk, lease in mine.values_list("pk", "lease") if ours[pk] == lease}


def report_progress(task: Task, fraction: float, note: str = "") -> bool:
    """Store how far a running task is; False where the lease is lost."""
    with transaction.atomic():
        if not held().filter(pk=task.pk, lease=task.lease).update(progress=fraction):
            return False
        record(task.org_id, ("task.progress", task.news(progress=fraction, message=note)))
    return True


def complete(task: Task, **outcome: Any) -> bool:
    """End a running task well; False, and nothing changes, where the lease is lost."""
    return _end(task, Task.COMPLETED, lambda: breaker.succeeded(task), progress=1.0, **outcome)


def fail(task: Task, *, error: str, code: str, **outcome: Any) -> bool:
    """End a running task as failed; False, and nothing changes, where the lease is lost."""
    judge = partial(breaker.failed, task, error, code)
    return _end(task, Task.FAILED, judge, error=error, error_code=code, **outcome)


class _LeaseGone(Exception):
    """Somebody else has ended the task, or holds it."""


def _end(task: Task, status: str, judge: Callable[[], None], **changes: Any) -> bool:
    if not task.lease:
        return False
    before = {name: getattr(task, name) for name in (*_OUTCOME, "status", "lease")}
    try:
        with one_transaction(), together():
            _ended(task, status, before | changes | {"finished_at": now()})
            # The agent's row, if it is written, before that of the workflow that goes on.
            judge()
            notify(f"task.{status}", task)
    except _LeaseGone:
        vars(task).update(before)
        return False
    return True


def _ended(task: Task, status: str, outcome: dict[str, Any]) -> None:
    result = outcome["result"]
    stored = {name: outcome[name] for name in _OUTCOME}
    stored["result"] = None if result is None else orjson.dumps(result).decode()
    _END.later(pk=task.pk, lease=task.lease, status=status, rows=1, otherwise=_LeaseGone, **stored)
    vars(task).update(outcome | {"status": status, "lease": ""})
    spending.spend(task, task.tokens_used)
    actions.expire_of(task)
    told = {"result": result} if status == Task.COMPLETED else {"error": task.error, "code": task.error_code}
    record(task.org_id, (f"task.{status}", task.news(duration=task.duration or 0, **told)))


@transaction.atomic
def give_back(task: Task, *, after: timedelta | None, error: str, code: str = "", tokens: int = 0) -> bool:
    """Put a running task back into its queue for another attempt, after a while; False where the lease is lost.

    An attempt that failed, and did not only meet a provider's rate limit, is one of the few that a task has.
    """
    counts = after is not None and code != LIMITED
    again = {
        "lease": "",
        "not_before": None if after is None else Now() + after,
        "failures": F("failures") + int(counts),
    }
    if not task.lease or not task.try_move(Task.QUEUED, where={"lease": task.lease}, error=error, **again):
        return False
    spending.spend(task, tokens)
    actions.expire_of(task)
    if counts:
        breaker.failed(task, error, code)
    delay = 0 if after is None else round(after.total_seconds() * 1000)
    record(task.org_id, ("task.retrying", task.news(attempt=task.attempts, error=error, retryAfter=delay)))
    return True


def reap(at_most: int = 200) -> set[str]:
    """Take back the tasks whose lease has run out. Returns the agents that have work again."""
    overdue = held().filter(lease_expires_at__lt=Now())
    return {agent for task in overdue[:at_most] if (agent := lose(task, overdue=True))}


def lose(task: Task, *, overdue: bool) -> str | None:
    """Take a task from a holder that has gone away: back to the queue, or failed where that happened too often.

    Returns its agent's id, or None where the holder was quicker. `overdue` asks that the lease has run out, in the
    same statement that takes it away.
    """
    still: dict[str, Any] = {"lease": task.lease} | ({"lease_expires_at__lt": Now()} if overdue else {})
    with transaction.atomic():
        if task.lost + 1 >= MAX_LOST:
            if not held().filter(pk=task.pk, **still).update(lost=F("lost") + 1):
                return None
            fail(task, error=f"The worker was lost {MAX_LOST} times while it ran this task.", code="worker_lost")
            return task.agent_id
        if not task.try_move(Task.QUEUED, where=still, lease="", not_before=None, lost=F("lost") + 1):
            return None
        actions.expire_of(task)
        record(
            task.org_id, ("task.retrying", task.news(attempt=task.attempts, error="The worker was lost.", retryAfter=0))
        )
    return task.agent_id
