"""Which backend serves which kind of agent: one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from taskmaster.core import strict_json
from taskmaster.core.errors import ValidationFailed
from taskmaster.core.outbound import Refused, check_url, guarded_connector
from taskmaster.core.secret_box import SecretUnreadable
from taskmaster.core.signing import signed_headers
from taskmaster.events.log import record
from taskmaster.orgs.models import Organization

from . import credentials, dispatch, outgoing, workspaces
from .backends.acp import AcpBackend
from .backends.base import Backend, Unready
from .backends.codegen import CodegenBackend
from .backends.echo import EchoBackend
from .backends.http import HttpBackend
from .backends.local import LocalBackend
from .backends.openai import OpenAIBackend
from .backends.request import RequestBackend
from .backends.runner import RunnerBackend
from .backends.unreadable import REASON, UnreadableBackend
from .local_model.settings import LocalModelSettings
from .local_model.supervisor import LocalModel
from .models import Agent

LOCAL_MODEL = LocalModel(
    LocalModelSettings(data_dir=settings.DATA_DIR, model=settings.LOCAL_MODEL, threads=settings.LOCAL_THREADS)
)


def _guarded() -> Any:
    """Guarded like a webhook; model endpoints are not, since Ollama and its like stand on this machine or the next."""
    return guarded_connector(allow_loopback=settings.WEBHOOK_ALLOW_PRIVATE)


_HTTP = HttpBackend(
    make_connector=_guarded,
    refusal=Refused,
    sign=lambda secret, message_id, body: signed_headers([secret], message_id=message_id, body=body),
    read_json=strict_json.parse,
)


class _SessionFiles:
    """What an agent's child process may reach of its session's workspace."""

    read = staticmethod(workspaces.read_text)
    write = staticmethod(workspaces.write_text)


BACKENDS: dict[str, Backend] = {
    "local": LocalBackend(LOCAL_MODEL),
    "openai": OpenAIBackend(),
    "codegen": CodegenBackend(make_connector=_guarded),
    "acp": AcpBackend(settings.ACP_COMMANDS, _SessionFiles()),
    "http": _HTTP,
    "echo": EchoBackend(),
    "runner": RunnerBackend(),
    "request": RequestBackend(outgoing.send, strict_json.parse),
}
# Not for anybody's agents.
INTERNAL = frozenset({"request"})

# What stands in for a backend that is not configured.
FALLBACKS = {"codegen": "local", "claude": "local"}

# Backends that run nothing without a configuration of their own.
NEEDS_CONFIG = frozenset({"openai", "acp", "http"})

CHOICES = tuple(name for name in dict.fromkeys((*BACKENDS, *FALLBACKS)) if name not in INTERNAL)

_CODING = ["code_generation", "code_review", "file_operations", "repository_operations"]
# Every new organization has one ready agent of each type: (type, name, backend).
DEFAULT_AGENTS = (("codegen", "Codegen", "codegen"), ("claude", "Claude", "claude"), ("custom", "Local model", "local"))


@dataclass(frozen=True, slots=True)
class Resolved:
    """Who really runs an agent's work, and with which configuration, credentials included."""

    backend: Backend
    config: Mapping[str, Any]

    def unready(self) -> Unready | None:
        """Why this process cannot run it now, or None."""
        return self.backend.unready(self.config)

    def closed_until(self) -> datetime | None:
        """Until when the provider takes nothing more, or None."""
        return credentials.closed_until(self.backend.name, self.config)


def resolve(agent: Agent) -> Resolved:
    """The agent's backend, or what stands in for it while it is not configured."""
    try:
        # Runners are told nothing of it.
        config = {} if agent.backend == "runner" else credentials.complete(agent)
    except SecretUnreadable:
        return Resolved(UnreadableBackend(agent.backend), {})
    backend, fallback = BACKENDS.get(agent.backend), FALLBACKS.get(agent.backend)
    if fallback and (backend is None or _lacks_config(backend, config)):
        backend = BACKENDS[fallback]
    if backend is None:
        raise LookupError(agent.backend)
    return Resolved(backend, config)


def _lacks_config(backend: Backend, config: Mapping[str, Any]) -> bool:
    why = backend.unready(config)
    return why is not None and why.for_good


def backend_of(agent: Agent) -> Backend:
    """The backend that really runs this agent's work."""
    return resolve(agent).backend


def unready(agent: Agent) -> Unready | None:
    """Why this process cannot run that agent's work now, or None."""
    return resolve(agent).unready()


def can_start(agent: Agent) -> bool:
    """Whether this process can run that agent's work now, and its provider would take it; or can but fail it."""
    resolved = resolve(agent)
    if isinstance(resolved.backend, UnreadableBackend):
        return True
    return resolved.unready() is None and not credentials.is_closed(resolved.backend.name, resolved.config)


def unready_backends() -> dict[str, Any]:
    """The backends that this process cannot run whatever an agent's configuration says, and why."""
    why = BACKENDS["local"].unready({})
    if why is None:
        return {}
    return {"local": {"reason": why.reason, "forGood": why.for_good, "state": LOCAL_MODEL.status().state}}


def register(*, org: Organization, **fields: Any) -> Agent:
    """A new agent."""
    check_config(fields["backend"], fields.get("config", {}))
    with transaction.atomic():
        agent = Agent.objects.create(org=org, **fields)
        record(org.pk, ("agent.registered", {"agentId": agent.pk, "name": agent.name, "type": agent.type}))
    return agent


def check_config(backend: str, config: dict[str, Any]) -> None:
    """Refuse a configuration with which the backend could never run, where that is the configuration's own fault.

    May look a name up, so it stands outside of transactions.
    """
    if backend == "http":
        _check_url(config.get("url"))
    needed = backend in NEEDS_CONFIG or (backend in BACKENDS and backend in FALLBACKS and "apiKey" in config)
    why = BACKENDS[backend].unready(config) if needed else None
    if why and why.for_good:
        raise _refusal(why.reason)


def _refusal(reason: str) -> ValidationFailed:
    """What a backend says of a configuration, at the member that it names."""
    member, _, problem = reason.partition(" ")
    return (
        ValidationFailed.of(member, problem) if member.startswith("config.") else ValidationFailed.of("config", reason)
    )


def _check_url(url: Any) -> None:
    try:
        check_url(url, allow_loopback=settings.WEBHOOK_ALLOW_PRIVATE)
    except Refused as error:
        raise ValidationFailed.of("config.url", str(error)) from None


def change(agent: Agent, changes: dict[str, Any]) -> None:
    """Change an agent; a higher limit or another backend may let it start more, and one in error is tried anew."""
    if changes.keys() & {"backend", "config"}:
        check_config(changes.get("backend", agent.backend), _config_after(agent, changes))
    for name, value in changes.items():
        setattr(agent, name, value)
    with transaction.atomic():
        if changes:
            agent.save(update_fields=list(changes))
        if changes.keys() & {"backend", "config"} and agent.status == Agent.ERROR:
            set_status(agent, Agent.ACTIVE)
        dispatch.wake(agent)


def _config_after(agent: Agent, changes: dict[str, Any]) -> dict[str, Any]:
    if "config" in changes:
        return dict(changes["config"] or {})
    try:
        return dict(agent.config)
    except SecretUnreadable:
        raise ValidationFailed.of("config", REASON) from None


@transaction.atomic
def set_status(agent: Agent, status: str, reason: str = "") -> None:
    """Pause, resume or drain an agent; the same again changes nothing. One that was in error starts anew."""
    fresh = {"status": status, "reason": reason, "failures": 0, "retry_at": None}
    if not Agent.objects.filter(pk=agent.pk).exclude(status=status).update(**fresh):
        return
    agent.status, agent.reason = status, reason
    record(agent.org_id, ("agent.status", {"agentId": agent.pk, "status": status, "reason": reason or None}))
    dispatch.wake(agent)


def create_default_agents(org: Organization) -> None:
    """One ready agent of each type."""
    for kind, name, backend in DEFAULT_AGENTS:
        register(org=org, type=kind, name=name, backend=backend, capabilities=_CODING)


def requester(org_id: str) -> Agent:
    """The agent that sends the organization's `http` steps, made when it is first needed (in a transaction)."""
    found = Agent.objects.filter(org=org_id, internal=True, backend="request").first()
    if found is None:
        # Two at once make two; either will do.
        about = {"name": "HTTP steps", "type": "custom", "backend": "request", "max_concurrent_tasks": 20}
        found = Agent.objects.create(org_id=org_id, internal=True, **about)
    return found
