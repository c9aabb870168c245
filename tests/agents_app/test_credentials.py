"""Whose key is used, where it is sent, and what a provider's rate limit does."""

from datetime import timedelta

import pytest

from agents_app import credentials, outcomes, registry
from agents_app.backends.base import BackendError
from agents_app.models import Agent, ClosedCredential, Credential, Task
from taskmaster.core.clock import now
from tests.api.working import claim
from tests.api.world import World

pytestmark = pytest.mark.django_db
ELSEWHERE = "http://127.0.0.1:9/v1"


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    for names in credentials.FROM_ENVIRONMENT.values():
        for name in names.values():
            monkeypatch.delenv(name, raising=False)
    credentials._stored.forget()
    credentials._closed.forget()
    yield
    credentials._stored.forget()
    credentials._closed.forget()


def agent(org, **config):
    return Agent.objects.create(org=org, name="a", type="custom", backend="openai", config={"model": "m"} | config)


def test_an_agents_own_key_comes_first(org, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    credentials.store(org_id=org.pk, provider="openai", fields={"apiKey": "sk-org"})
    own = agent(org, apiKey="sk-own", baseUrl=ELSEWHERE)
    assert credentials.complete(own) == {"model": "m", "apiKey": "sk-own", "baseUrl": ELSEWHERE}


def test_then_its_organizations_then_the_environments(org, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    without = agent(org)
    official = credentials.OFFICIAL["openai"]
    assert credentials.complete(without) == {"baseUrl": official, "apiKey": "sk-env", "model": "m"}
    credentials.store(org_id=org.pk, provider="openai", fields={"apiKey": "sk-org", "baseUrl": ELSEWHERE})
    assert credentials.complete(without) == {"baseUrl": ELSEWHERE, "apiKey": "sk-org", "model": "m"}


@pytest.mark.parametrize("whose", ["organization", "environment"])
def test_a_key_is_never_sent_where_its_owner_did_not_say(org, monkeypatch, whose):
    if whose == "environment":
        monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    else:
        credentials.store(org_id=org.pk, provider="openai", fields={"apiKey": "sk-org"})
    stranger = agent(org, baseUrl=ELSEWHERE)
    assert credentials.complete(stranger) == {"model": "m", "baseUrl": ELSEWHERE}
    home = agent(org, baseUrl=credentials.OFFICIAL["openai"] + "/")
    assert credentials.complete(home)["apiKey"].startswith("sk-")


def test_another_organizations_credential_is_nobody_elses(org, charlie):
    credentials.store(org_id=org.pk, provider="openai", fields={"apiKey": "sk-org"})
    assert "apiKey" not in credentials.complete(agent(charlie.org))


def test_a_rotated_credential_is_sealed_and_used(org):
    credentials.store(org_id=org.pk, provider="openai", fields={"apiKey": "sk-first"})
    credentials.store(org_id=org.pk, provider="openai", fields={"apiKey": "sk-second"})
    assert credentials.complete(agent(org))["apiKey"] == "sk-second"
    stored = Credential.objects.get()
    assert stored.last_four == "cond"
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT fields FROM agents_app_credential")
        assert "sk-second" not in cursor.fetchone()[0]


def test_codegen_answers_by_itself_once_it_is_configured(org, monkeypatch):
    codegen = Agent.objects.get(org=org, type="codegen")
    assert registry.backend_of(codegen).name == "local"
    monkeypatch.setenv("CODEGEN_API_KEY", "cg")
    monkeypatch.setenv("CODEGEN_ORG_ID", "7")
    assert registry.backend_of(codegen).name == "codegen"


def limited(task, seconds):
    resolved = registry.resolve(task.agent)
    error = BackendError("429", transient=True, limited=True, retry_after=seconds * 1000)
    outcomes._failed(task, error, resolved)


def test_a_rate_limit_closes_the_credential_for_every_agent_that_uses_it(alice, org, monkeypatch):
    world = World(alice)
    first, second = agent(org, apiKey="sk", baseUrl=ELSEWHERE), agent(org, apiKey="sk", baseUrl=ELSEWHERE)
    other = agent(org, apiKey="another", baseUrl=ELSEWHERE)
    for each in (first, second, other):
        alice.post(f"/agents/{each.pk}/tasks", {"type": "t", "description": "d"})
    assert world
    (task,) = claim(first.pk)
    limited(task, 60)
    assert registry.can_start(second) is False
    assert registry.can_start(other) is True
    row = Task.objects.get(pk=task.pk)
    assert (row.status, row.failures) == ("queued", 0)
    assert timedelta(seconds=50) < row.not_before - now() <= timedelta(seconds=60)
    monkeypatch.setattr("agents_app.fleet._trouble", lambda agent, resolved: None)
    shown = alice.get(f"/agents/{second.pk}").json()["agent"]
    assert (shown["status"], "rate limit" in shown["reason"]) == ("busy", True)
    ClosedCredential.objects.update(until=now() - timedelta(seconds=1))
    credentials._closed.forget()
    assert registry.can_start(second) is True


def test_what_another_process_was_told_holds_at_once(org):
    first = agent(org, apiKey="sk", baseUrl=ELSEWHERE)
    assert registry.can_start(first) is True
    assert credentials.closed_until("openai", first.config) is None
    digest = credentials.identity("openai", first.config)
    ClosedCredential.objects.create(digest=digest, until=now() + timedelta(seconds=3), reason="429")
    assert registry.can_start(first) is False
    ClosedCredential.objects.update(until=now() - timedelta(seconds=1))
    assert registry.can_start(first) is True


def test_a_limit_is_never_shortened_and_at_most_a_day(org):
    config = {"apiKey": "sk", "baseUrl": ELSEWHERE}
    credentials.close("openai", config, 60_000, "429")
    credentials.close("openai", config, 1_000, "429")
    assert ClosedCredential.objects.get().until - now() > timedelta(seconds=50)
    credentials.close("openai", config, 10**12, "429")
    assert ClosedCredential.objects.get().until - now() <= timedelta(hours=24)
    assert "sk" not in ClosedCredential.objects.get().digest


def test_an_agent_without_a_key_closes_nothing(org):
    credentials.close("openai", {"baseUrl": ELSEWHERE}, 60_000, "429")
    assert not ClosedCredential.objects.exists()
