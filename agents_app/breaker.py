"""An agent that fails five times in a row is left alone for a while, then tried with one task at a time."""

from datetime import timedelta

from django.db.models import F
from django.db.models.functions import Now

from taskmaster.core.clock import milliseconds, now
from taskmaster.core.prepared import Slot, Update
from taskmaster.events.log import record

from . import dispatch
from .models import Agent, Task

IN_A_ROW = 5
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=10), timedelta(minutes=10)
# After a run of this length others may have failed that it knows nothing of.
LONG_MS = 1_000
# What went wrong with the request and not with the agent, and what no pause would mend.
NOT_ITS_FAULT = frozenset({"context_too_long", "worker_lost", "budget_reached", "refused", "not_configured"})

# What was running already when it broke says nothing new, and does not make its pause longer. An internal agent calls
# whomever it is told to: that one address fails says nothing of the others.
_COUNT = Update(
    lambda: Agent.objects.filter(pk=Slot("pk"), internal=False).exclude(status=Agent.ERROR, retry_at__gt=Now()),
    failures=F("failures") + 1,
    returning=("failures", "status", "name"),
)


def failed(task: Task, reason: str, code: str) -> None:
    """Count an attempt that failed (in its transaction)."""
    if code in NOT_ITS_FAULT:
        return
    counted = _COUNT.one(pk=task.agent_id)
    if counted is None or counted[0] < IN_A_ROW or counted[1] not in (Agent.ACTIVE, Agent.ERROR):
        return
    failures, status, name = counted
    pause = min(FIRST_PAUSE * 2 ** min(failures - IN_A_ROW, 10), LONGEST_PAUSE)
    Agent.objects.filter(pk=task.agent_id).update(status=Agent.ERROR, reason=reason, retry_at=Now() + pause)
    if status == Agent.ACTIVE:
        about = {"agentId": task.agent_id, "name": name, "reason": reason, "failures": failures}
        record(task.org_id, ("agent.error", about), ("agent.status", _status(task, Agent.ERROR, reason)))


def succeeded(task: Task) -> None:
    """The agent works, or works again (in the transaction of the task's end)."""
    agent = task.agent
    long = task.started_at is None or milliseconds(now() - task.started_at) > LONG_MS
    if not (long or agent.failures or agent.status == Agent.ERROR):
        return
    if not Agent.objects.filter(pk=agent.pk, failures__gt=0).update(failures=0):
        return
    broken = Agent.objects.filter(pk=agent.pk, status=Agent.ERROR)
    if broken.update(status=Agent.ACTIVE, reason="", retry_at=None):
        record(task.org_id, ("agent.status", _status(task, Agent.ACTIVE, None)))
        dispatch.wake(agent)


def _status(task: Task, status: str, reason: str | None) -> dict[str, str | None]:
    return {"agentId": task.agent_id, "status": status, "reason": reason}
