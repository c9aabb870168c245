"""Claiming, renewing and ending work. A lease is the right to end one attempt; whoever has lost it changes nothing."""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Case, Count, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce, Now

from taskmaster.core.clock import now
from taskmaster.core.subscriptions import notify
from taskmaster.core.wakeups import hub
from taskmaster.events.log import record

from .models import Agent, Task

LEASE_SECONDS = 10.0
# How often a task may lose its worker before it is given up.
MAX_LOST = 5
# How often a backend's passing failure is tried again, and after how long.
RETRY_AFTER = (timedelta(seconds=1), timedelta(seconds=5), timedelta(seconds=30))


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker holds: the tasks it must run, and whether the agent has more that it could take."""

    tasks: list[Task]
    more: bool


def _expiry() -> Any:
    return Now() + timedelta(seconds=LEASE_SECONDS)


def runnable(agent: Agent) -> "QuerySet[Task]":
    """The agent's queue, best first: higher priority, then first come, without those whose session is at its limit."""
    busy = (
        Task.objects.filter(session_id=OuterRef("session_id"), status__in=(Task.RUNNING, Task.WAITING))
        .order_by()
        .values("session_id")
        .annotate(count=Count("*"))
        .values("count")
    )
    queued = Task.objects.filter(Q(not_before=None) | Q(not_before__lte=Now()), agent=agent, status=Task.QUEUED)
    # The count is only worked out for tasks that have a limit.
    busy_there = Case(When(session_limit=None, then=Value(-1)), default=Coalesce(Subquery(busy), Value(0)))
    return queued.filter(Q(session_limit=None) | Q(session_limit__gt=busy_there)).order_by("-priority", "id")


@transaction.atomic
def claim(agent_id: str, worker_id: str, at_most: int, *, ready: Callable[[Agent], bool]) -> Claim:
    """Lease up to `at_most` of an agent's waiting tasks, never more than the agent may run at once.

    `ready` says whether this worker can run that agent's backend at the moment.
    """
    # The agent's row is the gate: of many claims at once each sees what the one before it took.
    agent = (
        Agent.objects.select_for_update(no_key=True).filter(pk=agent_id, deleted_at=None, status=Agent.ACTIVE).first()
    )
    if agent is None or not ready(agent):
        return Claim([], more=False)
    free = agent.max_concurrent_tasks - Task.objects.filter(agent=agent, status=Task.RUNNING).count()
    if free <= 0:
        return Claim([], more=False)
    wanted = min(free, at_most)
    found = list(runnable(agent)[: wanted + 1])
    tasks = _lease(_within_session_limits(found[:wanted]), agent, worker_id)
    return Claim(tasks, more=len(found) > len(tasks) and free > len(tasks))


def _within_session_limits(tasks: list[Task]) -> list[Task]:
    """Those that still fit their session when its running tasks are counted one claim at a time."""
    taken: list[Task] = []
    for session_id in sorted({task.session_id for task in tasks if task.session_id and task.session_limit is not None}):
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(1, hashtext(%s))", [session_id])
    for task in tasks:
        if task.session_limit is not None and task.session_id:
            held = (Task.RUNNING, Task.WAITING)
            busy = Task.objects.filter(session_id=task.session_id, status__in=held).count()
            busy += sum(other.session_id == task.session_id for other in taken)
            if busy >= task.session_limit:
                continue
        taken.append(task)
    return taken


def _lease(tasks: list[Task], agent: Agent, worker_id: str) -> list[Task]:
    if not tasks:
        return []
    lease, moment = secrets.token_urlsafe(24), now()
    mine = Task.objects.filter(pk__in=[task.pk for task in tasks], status=Task.QUEUED)
    won = mine.update(
        status=Task.RUNNING,
        lease=lease,
        worker_id=worker_id,
        lease_expires_at=_expiry(),
        attempts=F("attempts") + 1,
        started_at=moment,
        progress=0,
    )
    if won < len(tasks):  # A cancel came between.
        kept = set(Task.objects.filter(lease=lease).values_list("pk", flat=True))
        tasks = [task for task in tasks if task.pk in kept]
    for task in tasks:
        task.status, task.lease, task.worker_id, task.started_at = Task.RUNNING, lease, worker_id, moment
        task.attempts, task.progress, task.agent = task.attempts + 1, 0, agent
    if tasks:
        record(agent.org_id, *(("task.started", task.news(attempt=task.attempts)) for task in tasks))
    for task in tasks:
        notify("task.started", task)
    return tasks


def renew(worker_id: str, leases: Iterable[tuple[str, str]]) -> set[str]:
    """Renew the leases of these running (task id, lease) pairs. Returns the ids whose lease is still good."""
    held = dict(leases)
    mine = Task.objects.filter(pk__in=held, worker_id=worker_id, status=Task.RUNNING)
    mine.update(lease_expires_at=_expiry())
    return {pk for pk, lease in mine.values_list("pk", "lease") if held[pk] == lease}


def report_progress(task: Task, fraction: float, note: str = "") -> bool:
    """Store how far a running task is; False where the lease is lost."""
    with transaction.atomic():
        mine = Task.objects.filter(pk=task.pk, lease=task.lease, status=Task.RUNNING)
        if not mine.update(progress=fraction):
            return False
        record(task.org_id, ("task.progress", task.news(progress=fraction, message=note)))
    return True


def complete(task: Task, **outcome: Any) -> bool:
    """End a running task well; False, and nothing changes, where the lease is lost."""
    return _end(task, Task.COMPLETED, progress=1.0, **outcome)


def fail(task: Task, *, error: str, code: str, **outcome: Any) -> bool:
    """End a running task as failed; False, and nothing changes, where the lease is lost."""
    return _end(task, Task.FAILED, error=error, error_code=code, **outcome)


@transaction.atomic
def _end(task: Task, status: str, **changes: Any) -> bool:
    if not task.try_move(status, where={"lease": task.lease}, finished_at=now(), lease="", **changes):
        return False
    outcome = {"result": task.result} if status == Task.COMPLETED else {"error": task.error, "code": task.error_code}
    record(task.org_id, (f"task.{status}", task.news(duration=task.duration, **outcome)))
    notify(f"task.{status}", task)
    hub.send_on_commit(f"task:{task.pk}")
    return True


@transaction.atomic
def give_back(task: Task, *, after: timedelta | None, error: str) -> bool:
    """Put a running task back into its queue for another attempt, after a while; False where the lease is lost."""
    later = None if after is None else Now() + after
    again = {"lease": "", "not_before": later, "failures": F("failures") + (0 if after is None else 1)}
    if not task.try_move(Task.QUEUED, where={"lease": task.lease}, error=error, **again):
        return False
    delay = 0 if after is None else round(after.total_seconds() * 1000)
    record(task.org_id, ("task.retrying", task.news(attempt=task.attempts, error=error, retryAfter=delay)))
    return True


def reap(at_most: int = 200) -> set[str]:
    """Take back the tasks whose lease has run out. Returns the agents that have work again."""
    overdue = Task.objects.filter(status=Task.RUNNING, lease_expires_at__lt=Now())
    return {agent for task in overdue[:at_most] if (agent := lose(task, overdue=True))}


def lose(task: Task, *, overdue: bool) -> str | None:
    """Take a task from a holder that has gone away: back to the queue, or failed where that happened too often."""
    still = {"lease": task.lease} | ({"lease_expires_at__lt": Now()} if overdue else {})
    if task.lost + 1 >= MAX_LOST:
        # The check and the move are one: a lease renewed meanwhile is not touched.
        with transaction.atomic():
            if Task.objects.filter(pk=task.pk, **still).update(lost=F("lost") + 1):
                fail(task, error=f"The worker was lost {MAX_LOST} times while it ran this task.", code="worker_lost")
        return task.agent_id
    with transaction.atomic():
        if not task.try_move(Task.QUEUED, where=still, lease="", not_before=None, lost=F("lost") + 1):
            return None
        record(
            task.org_id, ("task.retrying", task.news(attempt=task.attempts, error="The worker was lost.", retryAfter=0))
        )
    return task.agent_id
