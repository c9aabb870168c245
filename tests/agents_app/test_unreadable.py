"""An agent whose configuration was sealed with a key that is gone: it is shown, fails its work, and can be mended."""

import asyncio
from types import SimpleNamespace

import pytest
from django.test import override_settings

from agents_app import leases, outcomes, registry
from agents_app.backends.unreadable import REASON, UnreadableBackend
from agents_app.fleet import workers
from agents_app.models import Agent, Worker
from taskmaster.core.clock import now
from tests.api.working import told
from tests.api.world import stored

pytestmark = pytest.mark.django_db
CONFIG = {"baseUrl": "http://127.0.0.1:9/v1", "model": "m"}


@pytest.fixture
def worker():
    """A worker that is alive and can run everything."""
    Worker.objects.create(host="h", pid=1, beat_at=now())
    workers.forget()


def lost(person, backend="openai", **fields):
    """The id of an agent whose configuration nobody can read."""
    with override_settings(SECRET_KEY="a-key-that-will-be-gone"):
        agent = registry.register(org=person.org, name="lost", type="codegen", backend=backend, config=CONFIG, **fields)
    return agent.pk


def submit(person, agent):
    return person.post(f"/agents/{agent}/tasks", {"type": "review", "description": "look"}).json()["taskId"]


def run_all(agent_id):
    """What a worker of ours does with the agent's waiting tasks, which must not need the loop; returns their number."""
    claimed = leases.claim(agent_id, "worker_x", 8, ready=registry.can_start).tasks
    for task in claimed:
        resolved = registry.resolve(task.agent)
        request = outcomes.request_for(task, resolved)
        asyncio.run(outcomes.attempt(resolved, task, request, SimpleNamespace(clock=None)))()
    return len(claimed)


@pytest.mark.parametrize("backend", ["openai", "echo", "codegen", "local"])
def test_it_is_seen_everywhere_with_the_reason(alice, worker, backend):
    agent = lost(alice, backend)
    task = submit(alice, agent)
    session = alice.post("/sessions", {"agentType": "codegen", "agentId": agent}).json()["session"]["id"]
    shown = alice.get(f"/agents/{agent}").json()["agent"]
    assert (shown["name"], shown["status"], shown["reason"]) == ("lost", "offline", REASON)
    assert alice.get(f"/agents/{agent}/status").json()["status"]["reason"] == REASON
    assert [a["reason"] for a in alice.get("/agents?status=offline").json()["agents"] if a["id"] == agent] == [REASON]
    assert alice.get(f"/tasks/{task}").json()["task"]["status"] == "queued"
    for path in ("/tasks", f"/tasks?agentId={agent}", f"/sessions/{session}", "/sessions", "/system/status"):
        assert alice.get(path).status_code == 200, path


def test_its_tasks_fail_and_say_why(alice, worker):
    agent = lost(alice)
    tasks = [submit(alice, agent) for _ in range(6)]
    while run_all(agent):
        pass
    for pk in tasks:
        task = alice.get(f"/tasks/{pk}").json()["task"]
        assert (task["status"], task["error"], task["attempts"]) == ("failed", REASON, 1)
    assert [data["code"] for _, data in told(alice.org, "task.failed")] == ["not_configured"] * 6
    assert Agent.objects.get(pk=agent).status == "active"


def test_no_message_is_sent_to_it(alice):
    agent = lost(alice)
    session = alice.post("/sessions", {"agentType": "codegen", "agentId": agent}).json()["session"]["id"]
    refused = alice.post(f"/sessions/{session}/messages", {"content": "hello"})
    assert (refused.status_code, refused.json()["code"]) == (503, "no_agent")
    assert REASON in refused.json()["error"]


def test_work_that_names_no_agent_goes_to_another(alice):
    agent = lost(alice, "echo", capabilities=["poetry"])
    body = {"agentType": "codegen", "type": "write", "description": "a poem", "capabilities": ["poetry"]}
    refused = alice.post("/tasks", body)
    assert (refused.status_code, refused.json()["code"]) == (503, "no_agent")
    assert REASON in refused.json()["error"]
    another = {"name": "poet", "type": "codegen", "backend": "echo", "capabilities": ["poetry"]}
    other = alice.post("/agents", another).json()["agent"]["id"]
    assert alice.post("/tasks", body).json()["agentId"] == other != agent


def test_a_new_configuration_mends_it(alice, worker):
    agent = lost(alice)
    failed = submit(alice, agent)
    assert run_all(agent) == 1
    mended = alice.patch(f"/agents/{agent}", {"config": CONFIG | {"model": "n"}})
    assert (mended.status_code, mended.json()["agent"]["status"]) == (200, "active")
    assert Agent.objects.get(pk=agent).config == CONFIG | {"model": "n"}
    assert alice.post(f"/tasks/{failed}/retry").json()["task"]["status"] == "queued"
    assert alice.get(f"/agents/{agent}").json()["agent"]["reason"] is None


def test_all_else_of_it_can_be_changed_without_one(alice):
    agent = lost(alice)
    changes = {"name": "found", "maxConcurrentTasks": 2, "capabilities": ["poetry"]}
    assert alice.patch(f"/agents/{agent}", changes).json()["agent"]["name"] == "found"
    assert alice.post(f"/agents/{agent}/pause").status_code == 200
    assert alice.post(f"/agents/{agent}/resume").status_code == 200
    assert isinstance(registry.resolve(Agent.objects.get(pk=agent)).backend, UnreadableBackend)
    assert alice.delete(f"/agents/{agent}").status_code == 200


@pytest.mark.parametrize(
    ("changes", "field", "why"),
    [
        ({"backend": "echo"}, "config", REASON),
        ({"config": {"model": "m"}}, "config.baseUrl", "is missing"),
    ],
)
def test_neither_another_backend_nor_a_wrong_configuration_mends_it(alice, changes, field, why):
    agent = lost(alice)
    before = stored()
    refused = alice.patch(f"/agents/{agent}", changes)
    assert (refused.status_code, refused.json()["details"][0]["field"]) == (400, field)
    assert why in refused.json()["error"]
    assert stored() == before


def test_its_runner_goes_on(alice):
    agent = lost(alice, "runner")
    task = submit(alice, agent)
    assert alice.post(f"/agents/{agent}/lease").json()["task"]["id"] == task
    assert alice.get(f"/agents/{agent}").json()["agent"]["status"] == "active"
    session = alice.post("/sessions", {"agentType": "codegen", "agentId": agent}).json()["session"]["id"]
    answer = alice.post(f"/sessions/{session}/messages", {"content": "hi"}, prefer="respond-async")
    assert answer.status_code == 202


def test_an_agent_that_was_given_none_outlives_the_lost_key(alice):
    agent = alice.post("/agents", {"name": "plain", "type": "custom", "backend": "echo"}).json()["agent"]["id"]
    with override_settings(SECRET_KEY="another"):
        assert registry.unready(Agent.objects.get(pk=agent)) is None
