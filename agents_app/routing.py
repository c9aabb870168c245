"""Choosing the agent for work that names none."""

from django.db.models import Count

from taskmaster.core.errors import NoAgent

from . import fleet, registry
from .models import Agent, Task


def choose(*, org_id: str, agent_type: str, capabilities: list[str]) -> Agent:
    """The least loaded agent of that type with these capabilities, those that can run now before those that cannot.

    Raises NoAgent where none could ever take the work, with the reason.
    """
    agents = list(Agent.objects.filter(org_id=org_id, type=agent_type, deleted_at=None).order_by("id"))
    able = [agent for agent in agents if agent.can(capabilities)]
    if not able:
        wanted = f" with {', '.join(capabilities)}" if agents and capabilities else ""
        raise NoAgent(f"There is no {agent_type} agent{wanted}.")
    configured = [agent for agent in able if not never(agent)]
    if not configured:
        raise NoAgent(f"No {agent_type} agent is configured: {never(able[0])}")
    if len(configured) == 1:
        return configured[0]
    load = _unfinished(configured)
    return min(configured, key=lambda a: (_is_away(a), load.get(a.pk, 0) / a.max_concurrent_tasks, a.pk))


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
