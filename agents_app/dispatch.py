"""Work comes in and is called off. A worker hears of it after the commit; a sweep stands behind that."""

from functools import partial
from statistics import median
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from taskmaster.core import calls
from taskmaster.core.clock import now
from taskmaster.core.inserts import insert
from taskmaster.core.prepared import Select, Slot
from taskmaster.core.subscriptions import notify
from taskmaster.core.wakeups import hub
from taskmaster.events.log import record

from . import spending
from .models import PRIORITIES, Agent, Task

HISTORY = 9
_HISTORY = Select(
    lambda: (
        Task.objects.filter(agent=Slot("agent"), type=Slot("type"), status=Task.COMPLETED)
        .order_by("-finished_at")
        .only("started_at", "finished_at")[:HISTORY]
    )
)


def task_for(agent: Agent, *, type: str, description: str, priority: str = "normal", **fields: Any) -> Task:
    """A task for `agent`, not stored yet."""
    assigned = {"org_id": agent.org_id, "agent": agent, "assigned_at": now(), "priority": PRIORITIES[priority]}
    return Task(type=type, description=description, **assigned, **fields)


@transaction.atomic(savepoint=False)
def submit(task: Task) -> Task:
    """Queue a new task at its agent, whatever state the agent is in; one with `not_before` waits until then."""
    from . import continuing

    place = continuing.place()
    taken = place is not None and task.not_before is None and place.take(task)
    insert([task])
    record(task.org_id, ("task.queued", task.news(priority=task.priority_name)))
    if taken:
        continuing.begin(task)
    else:
        wake(task.agent)
    return task


def wake(agent: Agent) -> None:
    """Tell whoever works this agent, after the commit, that it has something to do: its runners, or our workers."""
    if agent.backend == "runner":
        hub.send_on_commit(f"lease:{agent.pk}")
    else:
        wake_worker(agent.pk)


def wake_worker(agent_id: str) -> None:
    """Tell a worker of ours, after the commit: this very process, if it is one with a place free, or the only one."""
    from .executor import executor

    if executor.takes_work or (executor.runs_here and not settings.REDIS_URL):
        transaction.on_commit(partial(executor.nudge, agent_id))
    else:
        calls.call(agent_id)


def wake_all() -> None:
    """Tell them of every agent of ours that has something to do."""
    for agent_id in agents_with_work():
        wake_worker(agent_id)


@transaction.atomic
def cancel(task: Task) -> Task:
    """Call a task off; what runs is stopped within a second. Raises InvalidState where it has ended."""
    over: dict[str, Any] = {"finished_at": now(), "lease": ""}
    if not task.try_move(Task.CANCELLED, where={"lease": ""}, **over):
        # Somebody works on it: what it has taken until now was used as well.
        task.move_to(Task.CANCELLED, **over)
        spending.spend(task, 0)
    if task.asked:
        notify("task.over", task)
    record(task.org_id, ("task.cancelled", task.news()))
    notify("task.cancelled", task)
    hub.send_on_commit(f"cancel:{task.pk}")
    return task


def estimated_duration(agent: Agent, type: str) -> int:
    """Milliseconds: the median of the last finished tasks of that type on that agent, else the agent's default."""
    durations = [task.duration or 0 for task in _HISTORY.all(agent=agent.pk, type=type)]
    return round(median(durations)) if durations else agent.default_duration


def agents_with_work() -> list[str]:
    """The agents that have something they could run now: whom the sweep wakes."""
    due = Task.objects.filter(Q(not_before=None) | Q(not_before__lte=Now()), agent=OuterRef("pk"), status=Task.QUEUED)
    takes = Q(status=Agent.ACTIVE) | Q(status=Agent.ERROR, retry_at__lte=Now())
    # One look into the index for each agent, however long its queue is.
    agents = Agent.objects.filter(takes, Exists(due), deleted_at=None).exclude(backend="runner")
    return list(agents.values_list("pk", flat=True))
