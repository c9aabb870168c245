"""Runners: the user's own processes, which lease an agent's tasks over REST and report how they end."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from taskmaster.core.clock import iso, now
from taskmaster.core.errors import LeaseLost
from taskmaster.core.subscriptions import conversation
from taskmaster.core.wakeups import hub
from taskmaster.events.log import record

from . import leases, logs
from .models import Agent, Task

BACKEND = "runner"
# A runner beats at least this often; three missed beats and the agent is offline.
BEAT_SECONDS = 10.0
GONE_SECONDS = 3 * BEAT_SECONDS
LEASE_SECONDS = 60.0
NOTED_SECONDS = 3.0
GONE = "No runner is there."


@dataclass(frozen=True, slots=True)
class Lease:
    """A task that a runner holds: with `token` alone it may be reported on, until `expires`."""

    task: Task
    token: str
    expires: str | None

    def public(self) -> dict[str, Any]:
        """As the runner gets it, with the conversation before a message."""
        earlier = conversation(self.task.origin, self.task)
        told = [{"role": role, "content": content} for role, content in earlier]
        return {
            "task": {**self.task.public(), "messages": told},
            "leaseToken": self.token,
            "leaseExpiresAt": self.expires,
        }


NOTHING: dict[str, Any] = {"task": None, "leaseToken": None, "leaseExpiresAt": None}


def heartbeat(agent_id: str) -> None:
    """A runner of this agent is there; a lease call and a progress report count as one."""
    Agent.objects.filter(pk=agent_id).update(last_heartbeat=now())


def noticed(agent_id: str) -> None:
    """A heartbeat by the way, of a call that is made often: written again after some seconds only."""
    moment = now()
    long_ago = Q(last_heartbeat=None) | Q(last_heartbeat__lt=moment - timedelta(seconds=NOTED_SECONDS))
    Agent.objects.filter(long_ago, pk=agent_id).update(last_heartbeat=moment)


def keep_present(agents: Iterable[str]) -> None:
    """Runners of these agents are waiting at this moment, which is as good as a beat."""
    late = Agent.objects.filter(pk__in=list(agents), last_heartbeat__lt=now() - timedelta(seconds=BEAT_SECONDS))
    # One by one: two servers that lock several rows, each in its own order, would wait for each other.
    for agent_id in late.values_list("pk", flat=True):
        noticed(agent_id)


def is_present(agent: Agent) -> bool:
    """Whether a runner was heard of within three beats."""
    return agent.last_heartbeat is not None and agent.last_heartbeat > now() - timedelta(seconds=GONE_SECONDS)


def lease(agent_id: str) -> Lease | None:
    """The agent's best waiting task, leased, or None."""
    if not leases.has_waiting(agent_id):
        return None
    claim = leases.claim(agent_id, BACKEND, 1, ready=lambda _: True, seconds=LEASE_SECONDS, lossy=False)
    if not claim.tasks:
        return None
    task = claim.tasks[0]
    return Lease(task, task.lease, iso(now() + timedelta(seconds=LEASE_SECONDS)))


def waiting(agents: Iterable[str]) -> set[str]:
    """Those of these agents that have a task waiting."""
    queued = Task.objects.filter(agent=OuterRef("pk"), status=Task.QUEUED)
    return set(Agent.objects.filter(Exists(queued), pk__in=list(agents)).values_list("pk", flat=True))


def take_back() -> None:
    """The sweep: what the agents hold whose runners have all gone away goes back at once, before its leases run out."""
    gone = Q(agent__last_heartbeat__lt=now() - timedelta(seconds=GONE_SECONDS))
    for task in leases.held().filter(gone, worker_id=BACKEND)[:200]:
        leases.lose(task, overdue=False)


def time_out() -> None:
    """The sweep: what a runner works on for longer than the task's `timeout` fails, as it does with workers of ours."""
    held = leases.held().filter(worker_id=BACKEND)
    running = held.values_list("pk", "started_at", "timeout")
    late = [pk for pk, began, timeout in running if _is_over(began, timeout)]
    for task in held.filter(pk__in=late[:200]):
        # Somebody may have begun it anew since.
        if _is_over(task.started_at, task.timeout):
            reason = f"The agent did not finish within {task.timeout} ms."
            leases.fail(task, error=reason, code="timeout", backend=BACKEND)


def _is_over(began: datetime | None, timeout: int) -> bool:
    return began is not None and began + timedelta(milliseconds=timeout) < now()


def held(task: Task, token: str) -> Task:
    """The task, if `token` is its lease now. Raises LeaseLost."""
    if task.status != Task.RUNNING or not task.lease or task.lease != token or task.worker_id != BACKEND:
        raise LeaseLost(details=[{"field": "status", "message": task.status}])
    return task


@transaction.atomic
def progress(task: Task, token: str, fraction: float, note: str) -> str | None:
    """Store how far it is and renew the lease; returns until when. Raises LeaseLost."""
    mine = leases.held().filter(pk=held(task, token).pk, lease=token)
    expires = Now() + timedelta(seconds=LEASE_SECONDS)
    if not mine.update(progress=fraction, lease_expires_at=expires):
        raise LeaseLost()
    if note:
        logs.write(task, [note])
    record(task.org_id, ("task.progress", task.news(progress=fraction, message=note)))
    hub.send_on_commit(task.live_key, {"event": "progress", "progress": fraction, "message": note})
    return iso(now() + timedelta(seconds=LEASE_SECONDS))


def complete(task: Task, token: str, result: dict[str, Any]) -> None:
    """End it well. Raises LeaseLost."""
    used = result.get("tokensUsed")
    tokens = used if type(used) is int and 0 <= used < 2**53 else 0
    model = result.get("model") if isinstance(result.get("model"), str) else None
    if not leases.complete(
        held(task, token), result=result, tokens_used=tokens, backend=BACKEND, model=model, error=None
    ):
        raise LeaseLost()


def fail(task: Task, token: str, error: str, *, retryable: bool) -> None:
    """End it as failed, or give it back for another attempt where that may help. Raises LeaseLost."""
    held(task, token)
    if retryable and task.failures < len(leases.RETRY_AFTER):
        done = leases.give_back(task, after=leases.RETRY_AFTER[task.failures], error=error)
    else:
        done = leases.fail(task, error=error, code="agent_failed", backend=BACKEND)
    if not done:
        raise LeaseLost()
