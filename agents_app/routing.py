"""Choosing the agent for work that names none."""

from collections import Counter

from django.db import transaction
from django.db.models import Count, Exists, OuterRef

from taskmaster.core.clock import now
from taskmaster.core.errors import NoAgent
from taskmaster.core.prepared import Asked, Select, Slot

from . import dispatch, fleet, registry
from .models import Agent, Task

_AGENTS = Select(
    lambda: Agent.objects.filter(org_id=Slot("org"), type=Slot("type"), deleted_at=None, internal=False).order_by("id")
)


def choose(*, org_id: str, agent_type: str, capabilities: list[str]) -> Agent:
    """The least loaded agent of that type with these capabilities, those that can run now before those that cannot.

    Raises NoAgent where none could ever take the work, with the reason.
    """
    return Choosing(org_id).choose(agent_type, capabilities)


class Choosing:
    """Choosing for several pieces of work in one transaction: the agents of a type are read once."""

    def __init__(self, org_id: str) -> None:
        self._org_id = org_id
        self._agents: dict[str, list[Agent]] = {}
        self._load: dict[str, Counter[str]] = {}

    def question(self, agent_type: str) -> Asked:
        """What has to be known to choose among these: may be asked with whatever else is asked."""
        return _AGENTS, {"org": self._org_id, "type": agent_type}

    def know(self, agent_type: str, agents: list[Agent]) -> None:
        """The answer."""
        self._agents[agent_type] = agents

    def choose(self, agent_type: str, capabilities: list[str]) -> Agent:
        """The same as the function, for work that is submitted at once."""
        if agent_type not in self._agents:
            self.know(agent_type, _AGENTS.all(org=self._org_id, type=agent_type))
        configured = _configured(self._agents[agent_type], agent_type, capabilities)
        if len(configured) == 1:
            return configured[0]
        if agent_type not in self._load:
            self._load[agent_type] = Counter(_unfinished(self._agents[agent_type]))
        load = self._load[agent_type]
        chosen = min(configured, key=lambda a: (_is_away(a), load[a.pk] / a.max_concurrent_tasks, a.pk))
        load[chosen.pk] += 1
        return chosen


def _configured(agents: list[Agent], agent_type: str, capabilities: list[str]) -> list[Agent]:
    able = [agent for agent in agents if agent.can(capabilities)]
    if not able:
        wanted = f" with {', '.join(capabilities)}" if agents and capabilities else ""
        raise NoAgent(f"There is no {agent_type} agent{wanted}.")
    configured = [agent for agent in able if not never(agent)]
    if not configured:
        raise NoAgent(f"No {agent_type} agent is configured: {never(able[0])}")
    return configured


def insist(agent: Agent) -> Agent:
    """A pinned agent. Raises NoAgent where it could never take anything."""
    reason = never(agent)
    if reason:
        raise NoAgent(f"The agent {agent.pk} cannot take this: {reason}")
    return agent


def never(agent: Agent) -> str | None:
    """Why the agent will never run anything as it is configured, or None."""
    why = registry.unready(agent)
    return why.reason if why and why.for_good else None


def _is_away(agent: Agent) -> bool:
    return fleet.status_of(agent, 0)[0] != "active"


def _unfinished(agents: list[Agent]) -> dict[str, int]:
    tasks = Task.objects.filter(agent__in=agents, status__in=Task.UNFINISHED).order_by()
    return dict(tasks.values_list("agent_id").annotate(Count("id")))


def reroute(agent: Agent, *, at_most: int = 500) -> int:
    """Hand what waits for an agent that takes nothing to others that do, where any would fit. Returns how many."""
    waiting = Task.objects.filter(agent=agent.pk, status=Task.QUEUED, pinned=False).order_by("-priority", "id")[
        :at_most
    ]
    tasks = list(waiting)
    others = _takers(agent) if tasks else []
    return sum(_hand_over(task, agent, others) for task in tasks)


def _takers(agent: Agent) -> list[Agent]:
    """Who else of that type takes work now."""
    same = Agent.objects.filter(org_id=agent.org_id, type=agent.type, deleted_at=None, internal=False)
    same = same.exclude(pk=agent.pk)
    return [other for other in same if not never(other) and not _is_away(other)]


def _hand_over(task: Task, agent: Agent, others: list[Agent]) -> bool:
    able = [other for other in others if other.can(task.capabilities)]
    if not able:
        return False
    load = _unfinished(able)
    target = min(able, key=lambda a: (load.get(a.pk, 0) / a.max_concurrent_tasks, a.pk))
    with transaction.atomic():
        mine = Task.objects.filter(pk=task.pk, status=Task.QUEUED, agent=agent.pk)
        if not mine.update(agent=target, assigned_at=now()):
            return False
        dispatch.wake(target)
    return True


def spread() -> None:
    """The sweep: nothing that any agent could take waits for one that is away, or for one that is full.

    Pinned tasks stay where they are.
    """
    movable = Task.objects.filter(agent=OuterRef("pk"), status=Task.QUEUED, pinned=False)
    agents = list(Agent.objects.filter(Exists(movable))[:200])
    running = fleet.running_counts(agents)
    for agent in agents:
        status, _ = fleet.status_of(agent, running.get(agent.pk, 0))
        if status == "busy":
            _relieve(agent)
        elif status != "active" or agent.deleted_at:
            reroute(agent)


def _relieve(agent: Agent) -> None:
    """Give what a full agent cannot start to those that could start it now."""
    takers = _takers(agent)
    if not takers:
        return
    load = _unfinished(takers)
    for other in takers:
        room = other.max_concurrent_tasks - load.get(other.pk, 0)
        waiting = Task.objects.filter(agent=agent.pk, status=Task.QUEUED, pinned=False).order_by("-priority", "id")
        for task in waiting[: max(0, room)]:
            _hand_over(task, agent, [other])
