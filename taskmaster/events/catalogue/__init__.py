"""Every type of event there is: what it means, and what its `data` holds."""

from . import agents, sessions, tasks, workflows
from .event_type import EventType
from .fields import Schema

__all__ = ["CATALOGUE", "EVENT_TYPES", "LIVE_TYPES", "EventType", "schema"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

# By name, in the order of the page.
CATALOGUE: dict[str, EventType] = {
    kind.name: kind
    for kinds in (
        sessions.SESSIONS,
        sessions.MESSAGES,
        tasks.TASKS,
        agents.ACTIONS,
        agents.AGENTS,
        agents.BUDGETS,
        workflows.WORKFLOWS,
        workflows.STEPS,
        workflows.WEBHOOKS,
    )
    for kind in kinds
}
# What the log holds, and what is only ever sent.
EVENT_TYPES = frozenset(name for name, kind in CATALOGUE.items() if not kind.live)
LIVE_TYPES = frozenset(CATALOGUE) - EVENT_TYPES


def schema(event_type: str) -> Schema:
    """The JSON Schema (2020-12) of the `data` of events of this type. Raises KeyError for one that there is not."""
    return {"$schema": DIALECT, **CATALOGUE[event_type].schema()}
