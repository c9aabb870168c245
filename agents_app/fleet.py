"""How the agents are doing: counted from their tasks and from the workers' heartbeats."""

import threading
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Count, Max

from taskmaster.core.clock import iso
from taskmaster.core.prepared import Select, Slot

from . import registry, runners
from .models import Agent, Task, Worker
from .registry import Resolved

FRESH_SECONDS = 1.0
STATUSES = ("active", "busy", "paused", "offline", "error")
_RUNNING = Select(
    lambda: (
        Task.objects.filter(agent=Slot("agent")).exclude(lease="").order_by("id").only("type", "started_at", "progress")
    )
)


class _Workers:
    """The live workers, looked up at most once a second by each process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0
        self._live: list[Worker] = []
        self.last_beat: datetime | None = None

    def live(self) -> list[Worker]:
        with self._lock:
            if time.monotonic() >= self._until:
                self._live = list(Worker.live())
                self.last_beat = Worker.objects.aggregate(last=Max("beat_at"))["last"]
                self._until = time.monotonic() + FRESH_SECONDS
            return self._live

    def forget(self) -> None:
        self._until = 0.0


workers = _Workers()


def trouble(agent: Agent) -> str | None:
    """Why nothing would run its work at the moment, or None."""
    return _trouble(agent, registry.resolve(agent))


def _trouble(agent: Agent, resolved: Resolved) -> str | None:
    name = resolved.backend.name
    if name == runners.BACKEND:
        return None if runners.is_present(agent) else runners.GONE
    here = resolved.unready()
    if here and here.for_good:
        return here.reason
    reasons = [worker.unready.get(name) for worker in workers.live()]
    if not reasons:
        return "No worker is running."
    return None if None in reasons else str(reasons[0]["reason"])


def status_of(agent: Agent, running: int) -> tuple[str, str | None]:
    """The agent's status, active | busy | paused | offline | error, and the reason for it where there is one."""
    if agent.status in (Agent.PAUSED, Agent.DRAINING):
        return "paused", agent.reason or None
    if agent.status == Agent.ERROR:
        return "error", agent.reason
    resolved = registry.resolve(agent)
    reason = _trouble(agent, resolved)
    if reason:
        return "offline", reason
    closed = resolved.closed_until()
    if closed:
        return "busy", f"Its provider's rate limit is reached until {iso(closed)}."
    return ("busy" if running >= agent.max_concurrent_tasks else "active"), None


def running_counts(agents: Iterable[Agent]) -> dict[str, int]:
    """How many tasks each of them runs."""
    running = Task.objects.filter(agent__in=agents).exclude(lease="").order_by()
    return dict(running.values_list("agent_id").annotate(Count("id")))


def shown(agent: Agent, running: int) -> dict[str, Any]:
    """The agent as lists and objects show it."""
    status, reason = status_of(agent, running)
    return agent.described() | {
        "status": status,
        "reason": reason,
        "currentTasks": running,
        "load": round(min(1.0, running / agent.max_concurrent_tasks), 4),
        "lastHeartbeat": iso(last_heartbeat(agent)),
        "createdAt": iso(agent.created_at),
    }


def last_heartbeat(agent: Agent) -> datetime | None:
    """When its runner was last heard of, or, for an agent of ours, a worker, any of which can run it."""
    if agent.backend == runners.BACKEND:
        return agent.last_heartbeat
    workers.live()
    return workers.last_beat


def status_document(agent: Agent) -> dict[str, Any]:
    """What `GET /agents/{id}/status` tells."""
    tasks = _RUNNING.all(agent=agent.pk)
    status, reason = status_of(agent, len(tasks))
    current = [{"id": t.id, "type": t.type, "startedAt": iso(t.started_at), "progress": t.progress} for t in tasks]
    return {
        "id": agent.id,
        "status": status,
        "reason": reason,
        "currentTasks": current,
        "lastHeartbeat": iso(last_heartbeat(agent)),
    }
