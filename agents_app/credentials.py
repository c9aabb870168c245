"""What an agent's backend calls its provider with: the agent's own, its organization's, or the environment's.

A key goes only where its owner said: one that stands beside no address of its own is never sent to an address that
somebody else has typed.
"""

import os
import threading
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import models, transaction

from taskmaster.core.clock import now
from taskmaster.core.prepared import Columns, Slot
from taskmaster.core.secret_box import SecretUnreadable, digest

from .models import Agent, ClosedCredential, Credential

FRESH_SECONDS = 1.0
# The members of a configuration that are a provider's credential, and the variables that stand in for them.
FROM_ENVIRONMENT: dict[str, dict[str, str]] = {
    "openai": {"apiKey": "OPENAI_API_KEY", "baseUrl": "OPENAI_BASE_URL"},
    "codegen": {"apiKey": "CODEGEN_API_KEY", "orgId": "CODEGEN_ORG_ID", "baseUrl": "CODEGEN_BASE_URL"},
    "claude": {"apiKey": "ANTHROPIC_API_KEY", "baseUrl": "ANTHROPIC_BASE_URL"},
}
OFFICIAL = {
    "openai": "https://api.openai.com/v1",
    "codegen": "https://api.codegen.com",
    "claude": "https://api.anthropic.com",
}
LONGEST_CLOSED = timedelta(hours=24)
_CLOSED = Columns(
    lambda: ClosedCredential.objects.filter(pk=Slot("pk"), until__gt=Slot("now", models.DateTimeField())).values_list(
        "digest"
    )
)
# Where a provider says that its limit is reached and not for how long.
UNTOLD_MS = 30_000


def complete(agent: Agent) -> Mapping[str, Any]:
    """The agent's configuration with the credential that it lacks, if there is one. Raises SecretUnreadable."""
    own: Mapping[str, Any] = agent.config
    if agent.backend not in FROM_ENVIRONMENT or own.get("apiKey"):
        return own
    found = of_org(agent.org_id, agent.backend) or _of_environment(agent.backend)
    home = found.get("baseUrl") or OFFICIAL[agent.backend]
    if not found or not _belongs(home, own.get("baseUrl")):
        return own
    return {"baseUrl": home} | found | {name: value for name, value in own.items() if value not in (None, "")}


def _belongs(home: str, wanted: Any) -> bool:
    """Whether a key whose home is there may be sent where it is wanted."""
    return not wanted or str(wanted).rstrip("/") == home.rstrip("/")


def _of_environment(provider: str) -> dict[str, Any]:
    names = FROM_ENVIRONMENT[provider]
    found: dict[str, Any] = {member: os.environ[name] for member, name in names.items() if os.environ.get(name)}
    return found if found.get("apiKey") else {}


def of_org(org_id: str, provider: str) -> dict[str, Any]:
    """The organization's own credential, as it was a second ago at the latest, or an empty object."""
    return _stored.get(org_id, provider)


def store(*, org_id: str, provider: str, fields: Mapping[str, Any]) -> Credential:
    """Set or rotate an organization's credential."""
    given = {name: value for name, value in fields.items() if value not in (None, "")}
    last_four = str(given.get("apiKey", ""))[-4:]
    values = {"fields": given, "last_four": last_four, "changed_at": now()}
    credential, _ = Credential.objects.update_or_create(org_id=org_id, provider=provider, defaults=values)
    _stored.forget()
    return credential


def delete(credential: Credential) -> None:
    """Forget an organization's credential; whoever used it falls back to the environment's."""
    credential.delete()
    _stored.forget()


class _Stored:
    """Organizations' credentials, each looked up at most once a second by each process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], tuple[float, dict[str, Any]]] = {}

    def get(self, org_id: str, provider: str) -> dict[str, Any]:
        key = (org_id, provider)
        with self._lock:
            until, fields = self._known.get(key, (0.0, {}))
            if time.monotonic() < until:
                return fields
        fields = self._look_up(org_id, provider)
        with self._lock:
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[key] = (time.monotonic() + FRESH_SECONDS, fields)
        return fields

    def _look_up(self, org_id: str, provider: str) -> dict[str, Any]:
        try:
            found = Credential.objects.filter(org=org_id, provider=provider).first()
            return dict(found.fields) if found else {}
        except SecretUnreadable:
            return {}

    def forget(self) -> None:
        with self._lock:
            self._known.clear()


_stored = _Stored()


def identity(backend: str, config: Mapping[str, Any]) -> str:
    """A keyed hash of what a provider knows the caller by, "" where it is nothing."""
    key = config.get("apiKey") or config.get("url")
    return digest("credential", f"{backend}|{config.get('baseUrl') or ''}|{key}") if key else ""


def close(backend: str, config: Mapping[str, Any], retry_after: int | None, reason: str) -> None:
    """Its provider takes no more for `retry_after` ms: nobody uses it until then."""
    pk = identity(backend, config)
    if not pk:
        return
    pause = min(timedelta(milliseconds=UNTOLD_MS if retry_after is None else retry_after), LONGEST_CLOSED)
    until = now() + pause
    with transaction.atomic():
        row, made = ClosedCredential.objects.get_or_create(pk=pk, defaults={"until": until, "reason": reason})
        if not made and row.until < until:
            ClosedCredential.objects.filter(pk=pk).update(until=until, reason=reason)
    _closed.forget()


def is_closed(backend: str, config: Mapping[str, Any]) -> bool:
    """Whether its provider takes no more at this moment: what another process was told counts at once."""
    pk = identity(backend, config)
    return bool(pk) and bool(_CLOSED.all(pk=pk, now=now()))


def closed_until(backend: str, config: Mapping[str, Any]) -> datetime | None:
    """Until when its provider takes no more, or None, as it was a second ago at the latest."""
    pk = identity(backend, config) if _closed.any() else ""
    return _closed.until(pk) if pk else None


class _Closed:
    """The few credentials that are closed, looked up at most once a second by each process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0
        self._rows: dict[str, datetime] = {}

    def any(self) -> bool:
        with self._lock:
            if time.monotonic() >= self._until:
                closed = ClosedCredential.objects.filter(until__gt=now())
                self._rows = dict(closed.values_list("digest", "until"))
                self._until = time.monotonic() + FRESH_SECONDS
            return bool(self._rows)

    def until(self, pk: str) -> datetime | None:
        moment = self._rows.get(pk)
        return moment if moment and moment > now() else None

    def forget(self) -> None:
        self._until = 0.0


_closed = _Closed()
