"""Which backend serves which kind of agent: one table."""

import contextlib
from typing import Any

from django.conf import settings
from django.db import transaction

from taskmaster.core.clock import now
from taskmaster.core.errors import InvalidState, NotFound, ValidationFailed
from taskmaster.events.log import record
from taskmaster.orgs.models import Organization

from . import dispatch
from .backends.base import Backend, Unready
from .backends.echo import EchoBackend
from .backends.local import LocalBackend
from .backends.openai import OpenAIBackend
from .backends.runner import RunnerBackend
from .local_model.settings import LocalModelSettings
from .local_model.supervisor import LocalModel
from .models import Agent, Task

LOCAL_MODEL = LocalModel(
    LocalModelSettings(data_dir=settings.DATA_DIR, model=settings.LOCAL_MODEL, threads=settings.LOCAL_THREADS)
)

BACKENDS: dict[str, Backend] = {
    "local": LocalBackend(LOCAL_MODEL),
    "openai": OpenAIBackend(),
    "echo": EchoBackend(),
    "runner": RunnerBackend(),
}

# What stands in for a backend that is not configured.
FALLBACKS = {"codegen": "local", "claude": "local"}

# Backends that run nothing without a configuration of their own.
NEEDS_CONFIG = frozenset({"openai"})

CHOICES = (*BACKENDS, *FALLBACKS)

_CODING = ["code_generation", "code_review", "file_operations", "repository_operations"]
# Every new organization has one ready agent of each type: (type, name, backend).
DEFAULT_AGENTS = (("codegen", "Codegen", "codegen"), ("claude", "Claude", "claude"), ("custom", "Local model", "local"))


def backend_of(agent: Agent) -> Backend:
    """The backend that really runs this agent's work."""
    return BACKENDS.get(agent.backend) or BACKENDS[FALLBACKS[agent.backend]]


def unready(agent: Agent) -> Unready | None:
    """Why this process cannot run that agent's work now, or None."""
    return backend_of(agent).unready(agent.config)


def unready_backends() -> dict[str, Any]:
    """The backends that this process cannot run whatever an agent's configuration says, and why."""
    why = BACKENDS["local"].unready({})
    if why is None:
        return {}
    return {"local": {"reason": why.reason, "forGood": why.for_good, "state": LOCAL_MODEL.status().state}}


@transaction.atomic
def register(*, org: Organization, **fields: Any) -> Agent:
    """A new agent."""
    check_config(fields["backend"], fields.get("config", {}))
    agent = Agent.objects.create(org=org, **fields)
    record(org.pk, ("agent.registered", {"agentId": agent.pk, "name": agent.name, "type": agent.type}))
    return agent


def check_config(backend: str, config: dict[str, Any]) -> None:
    """Refuse a configuration with which the backend could never run, where that is the configuration's own fault."""
    why = BACKENDS[backend].unready(config) if backend in NEEDS_CONFIG else None
    if why and why.for_good:
        raise ValidationFailed.of("config", why.reason)


@transaction.atomic
def change(agent: Agent, changes: dict[str, Any]) -> None:
    """Change an agent; a higher limit or another backend may let it start more."""
    check_config(changes.get("backend", agent.backend), changes.get("config", agent.config) or {})
    for name, value in changes.items():
        setattr(agent, name, value)
    if changes:
        agent.save(update_fields=list(changes))
    dispatch.wake(agent)


@transaction.atomic
def set_status(agent: Agent, status: str, reason: str = "") -> None:
    """Pause or resume an agent; the same again changes nothing."""
    if not Agent.objects.filter(pk=agent.pk).exclude(status=status).update(status=status, reason=reason):
        return
    agent.status, agent.reason = status, reason
    record(agent.org_id, ("agent.status", {"agentId": agent.pk, "status": status, "reason": reason or None}))
    dispatch.wake(agent)


@transaction.atomic
def delete(agent: Agent) -> None:
    """Take an agent out of service and cancel its unfinished tasks. Raises NotFound for whoever comes second."""
    if not Agent.objects.filter(pk=agent.pk, deleted_at=None).update(deleted_at=now()):
        raise NotFound()
    for task in Task.objects.filter(agent=agent, status__in=Task.UNFINISHED):
        with contextlib.suppress(InvalidState):
            dispatch.cancel(task)


def create_default_agents(org: Organization) -> None:
    """One ready agent of each type."""
    for kind, name, backend in DEFAULT_AGENTS:
        register(org=org, type=kind, name=name, backend=backend, capabilities=_CODING)
