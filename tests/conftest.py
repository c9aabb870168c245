"""The cast: alice owns an organization, bob works in it with a token that may only read, charlie is a stranger."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from taskmaster.orgs.models import SCOPES, Organization
from tests.events.catalogued import Watch

V1 = "/api/v1"


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """No test is slowed by the limits that it does not test."""
    settings.RATE_LIMIT_ANONYMOUS = settings.RATE_LIMIT_AUTHENTICATED = "1000000/15m"
    # Every client loads the middleware anew; looking for the admin's files then takes longer than most tests.
    settings.WHITENOISE_AUTOREFRESH = True
    _use_a_database_file()
    _use_a_cache_of_our_own()
    settings.WORKSPACES = _folder() / "workspaces"


def _folder() -> Path:
    """A new folder that is gone after the tests."""
    folder = Path(tempfile.mkdtemp(prefix="taskmaster-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _use_a_cache_of_our_own() -> None:
    """On Redis: test processes side by side must not clear each other's counters."""
    cache = settings.CACHES["default"]
    if isinstance(cache.get("LOCATION"), str) and cache["LOCATION"].startswith("redis"):
        server, _, number = cache["LOCATION"].rpartition("/")
        process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
        # Those from 8 on belong to the installations of tests/live.py.
        cache["LOCATION"] = f"{server}/{(int(number) - process) % 8}"


def _use_a_database_file() -> None:
    """On SQLite: threads that share a database in memory see each other's table locks as errors, not as waits."""
    database = settings.DATABASES["default"]
    if "sqlite" in database["ENGINE"]:
        database.setdefault("TEST", {})["NAME"] = str(_folder() / "test.sqlite3")


@dataclass(frozen=True)
class Person:
    """Somebody with a token, and a client that calls with it."""

    org: Organization
    token: str
    client: Client

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The response to one request; `path` is below /api/v1; a header is named like `idempotency_key`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        options: dict[str, Any] = {"headers": {**self.headers, **named}}
        if body is not None:
            options |= {"data": body, "content_type": "application/json"}
        return self.client.generic(method, V1 + path, **_encoded(options))

    @property
    def headers(self) -> dict[str, str]:
        """What identifies the person."""
        return {"Authorization": f"Bearer {self.token}", "X-Org-ID": self.org.pk}

    def get(self, path: str, **headers: str) -> Any:
        """GET."""
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        """POST."""
        return self.call("POST", path, body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Any:
        """PATCH."""
        return self.call("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        """DELETE."""
        return self.call("DELETE", path, **headers)


def _encoded(options: dict[str, Any]) -> dict[str, Any]:
    import orjson

    data = options.get("data", b"")
    return options | {"data": data if isinstance(data, bytes | str) else orjson.dumps(data)}


def person(org: Organization, scopes: Any = tuple(SCOPES)) -> Person:
    """Somebody of that organization."""
    from taskmaster.orgs.tokens import issue_token

    _, secret = issue_token(org=org, name="test", scopes=scopes)
    return Person(org, secret, Client(raise_request_exception=False))


@pytest.fixture
def org(db: None) -> Organization:
    """Alice's and bob's organization."""
    from taskmaster.orgs.organizations import create_organization

    return create_organization(slug="wonderland")


@pytest.fixture
def alice(org: Organization) -> Person:
    """The owner: every scope."""
    return person(org)


@pytest.fixture
def bob(org: Organization) -> Person:
    """Of the same organization; may only read."""
    return person(org, ["read"])


@pytest.fixture
def charlie(db: None) -> Person:
    """Of another organization, with every scope there."""
    from taskmaster.orgs.organizations import create_organization

    return person(create_organization(slug="elsewhere"))


@pytest.fixture(autouse=True)
def _clean_slate(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.core.cache import cache

    from agents_app.fleet import workers
    from taskmaster.core import log
    from workflows_app import timers

    # A timer's thread would look at the database of the next test.
    monkeypatch.setattr(timers, "LONGEST", float("-inf"))

    cache.clear()
    workers.forget()
    for variable in (log.request_id, log.org_id, log.task_id):
        variable.set(None)


@pytest.fixture(autouse=True)
def catalogued() -> Iterator[Watch]:
    """Every event that is recorded has the data that the catalogue says."""
    from taskmaster.events import log

    watch = Watch()
    log.checks.append(watch)
    yield watch
    log.checks.remove(watch)
    assert watch.seen == []


@pytest.fixture
def admin(db: None) -> Client:
    """A superuser's browser."""
    from tests.admin import superuser

    return superuser()


@pytest.fixture
def echo(alice: Person) -> str:
    """The id of alice's echo agent."""
    body = {"name": "echo", "type": "custom", "backend": "echo", "capabilities": ["code_generation"]}
    return str(alice.post("/agents", body).json()["agent"]["id"])
