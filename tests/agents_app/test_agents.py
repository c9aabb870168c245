"""Agents over REST: their shape, their state, and what a change of them does to their work."""

import re
from datetime import timedelta

import pytest
from django.db import connection

from agents_app import leases
from agents_app.fleet import workers
from agents_app.models import Agent, Task, Worker
from taskmaster.core.clock import now
from tests.api.working import answer, claim, told
from tests.api.world import World, stored

pytestmark = pytest.mark.django_db
NEW = {"name": "Echo", "type": "custom", "backend": "echo"}


@pytest.fixture
def world(alice):
    return World(alice)


@pytest.fixture
def worker(db):
    """A worker that is alive and can run everything."""
    Worker.objects.create(host="h", pid=1, beat_at=now())


def refused(response, status, code):
    assert (response.status_code, response.json()["code"]) == (status, code), response.json()
    return response.json()


def shown(alice, agent_id):
    """The agent as lists show it, too: without what it has used."""
    workers.forget()
    agent = alice.get(f"/agents/{agent_id}").json()["agent"]
    assert agent.pop("usage").keys() == {"tokensUsed", "duration", "attempts"}
    return agent


def test_a_new_agent(alice, worker):
    body = NEW | {"capabilities": ["code_generation"], "maxConcurrentTasks": 3, "config": {"api_key": "s3cret"}}
    response = alice.post("/agents", body)
    agent = response.json()["agent"]
    assert response.status_code == 201
    assert response["Location"] == f"/api/v1/agents/{agent['id']}"
    assert re.fullmatch(r"agent_[0-9a-z]{26}", agent["id"])
    expected = {
        "id": agent["id"],
        "name": "Echo",
        "type": "custom",
        "backend": "echo",
        "status": "active",
        "capabilities": ["code_generation"],
        "currentTasks": 0,
        "maxConcurrentTasks": 3,
        "load": 0,
    }
    assert {name: agent[name] for name in expected} == expected
    assert agent["lastHeartbeat"] is not None
    assert shown(alice, agent["id"]) == agent
    assert told(alice.org, "agent.registered")[-1][1] == {"agentId": agent["id"], "name": "Echo", "type": "custom"}


def test_a_configuration_is_write_only_and_sealed(alice):
    response = alice.post("/agents", NEW | {"config": {"api_key": "s3cret"}})
    agent_id = response.json()["agent"]["id"]
    changed = alice.patch(f"/agents/{agent_id}", {"config": {"api_key": "an0ther"}})
    for answered in (response, changed, alice.get(f"/agents/{agent_id}"), alice.get("/agents"), alice.get("/events")):
        assert b"s3cret" not in answered.content
        assert b"an0ther" not in answered.content
    with connection.cursor() as cursor:
        cursor.execute("SELECT config FROM agents_app_agent WHERE id = %s", [agent_id])
        assert "an0ther" not in cursor.fetchone()[0]
    assert Agent.objects.get(pk=agent_id).config == {"api_key": "an0ther"}


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("name", ["", "x" * 201, None]),
        ("type", ["", "robot", "Custom", None]),
        ("backend", ["", "telepathy", None]),
        ("maxConcurrentTasks", [0, -1, 1001, 1.5, "5", None]),
        ("capabilities", [[""], ["x" * 201], ["x"] * 101, "x", [5]]),
        ("config", [[], "x", None]),
    ],
)
def test_past_the_bounds_the_field_is_named(alice, field, bad):
    before = stored()
    for value in bad:
        document = refused(alice.post("/agents", NEW | {field: value}), 400, "validation_failed")
        assert {re.sub(r"\.0$", "", detail["field"]) for detail in document["details"]} == {field}
    assert stored() == before


@pytest.mark.parametrize(
    ("backend", "config", "member", "problem"),
    [
        ("openai", {"model": "m"}, "baseUrl", "is missing"),
        ("openai", {"baseUrl": "ftp://x", "model": "m"}, "baseUrl", "must be an http or https address"),
        (
            "openai",
            {"baseUrl": "http://x/v1", "model": "m", "temperature": 3},
            "temperature",
            "must be a number from 0 to 2",
        ),
        ("http", {}, "url", "must be an http or https URL"),
        ("codegen", {"apiKey": "k"}, "orgId", "is missing"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused_at_its_member(alice, backend, config, member, problem):
    document = refused(alice.post("/agents", NEW | {"backend": backend, "config": config}), 400, "validation_failed")
    assert document["details"] == [{"field": f"config.{member}", "message": problem}]
    assert document["error"] == f"config.{member}: {problem}"


def test_agents_are_listed_newest_first_and_by_filter(alice, charlie, worker):
    made = [
        alice.post("/agents", NEW | {"name": str(n), "capabilities": ["poetry"] * n}).json()["agent"]["id"]
        for n in range(2)
    ]
    charlie.post("/agents", NEW)
    alice.post(f"/agents/{made[0]}/pause")

    def listed(query):
        agents = alice.get(f"/agents?{query}").json()["agents"]
        return [agent["id"] for agent in agents if agent["id"] in made], len(agents)

    assert listed("") == (made[::-1], 5)
    assert listed("type=custom") == (made[::-1], 3)
    assert listed("type=claude") == ([], 1)
    assert listed("capability=poetry") == ([made[1]], 1)
    assert listed("status=paused") == ([made[0]], 1)
    assert listed("status=paused&capability=poetry") == ([], 0)


@pytest.mark.parametrize("name", ["type", "status"])
def test_an_unknown_value_to_filter_by_is_a_400(alice, name):
    document = refused(alice.get(f"/agents?{name}=nonsense"), 400, "validation_failed")
    assert [detail["field"] for detail in document["details"]] == [name]


def test_load_and_status_are_counted(alice, world, worker):
    agent = world["agent"]
    alice.patch(f"/agents/{agent}", {"maxConcurrentTasks": 4})
    for _ in range(4):
        world.submit()
    for running, load, status in ((1, 0.25, "active"), (2, 0.5, "active"), (3, 0.75, "active"), (4, 1, "busy")):
        claim(agent)
        found = shown(alice, agent)
        assert (found["currentTasks"], found["load"], found["status"]) == (running, load, status)
    listed = next(one for one in alice.get("/agents").json()["agents"] if one["id"] == agent)
    assert listed == found


def test_a_lowered_limit_never_shows_more_than_a_full_load(alice, world, worker):
    for _ in range(3):
        world.submit()
    claim(world["agent"], 3)
    alice.patch(f"/agents/{world['agent']}", {"maxConcurrentTasks": 1})
    found = shown(alice, world["agent"])
    assert (found["currentTasks"], found["load"], found["status"]) == (3, 1, "busy")


def test_the_status_document_shows_what_runs(alice, world, worker):
    running, waiting = world.submit(), world.submit()
    (task,) = claim(world["agent"])
    status = alice.get(f"/agents/{world['agent']}/status").json()["status"]
    (current,) = status["currentTasks"]
    assert current == {"id": running, "type": "review", "startedAt": current["startedAt"], "progress": 0}
    assert current["startedAt"] is not None
    assert waiting not in str(status)
    assert (status["id"], status["status"]) == (world["agent"], "active")
    assert status["lastHeartbeat"] is not None
    assert task.pk == running


def test_without_a_worker_an_agent_is_offline(alice, world):
    assert shown(alice, world["agent"])["status"] == "offline"
    assert shown(alice, world["agent"])["lastHeartbeat"] is None


def test_a_worker_that_stopped_beating_is_gone(alice, world, worker):
    assert shown(alice, world["agent"])["status"] == "active"
    Worker.objects.update(beat_at=now() - timedelta(seconds=11))
    assert shown(alice, world["agent"])["status"] == "offline"


def test_pause_and_resume(alice, world, worker):
    agent = world["agent"]
    assert world["task"]
    assert alice.post(f"/agents/{agent}/pause").json()["agent"]["status"] == "paused"
    assert claim(agent) == []
    assert alice.post(f"/agents/{agent}/resume").json()["agent"]["status"] == "active"
    assert len(claim(agent)) == 1
    assert [data["status"] for _, data in told(alice.org, "agent.status")] == ["paused", "active"]


def test_pausing_twice_tells_once(alice, world):
    for _ in range(2):
        assert alice.post(f"/agents/{world['agent']}/pause").status_code == 200
    assert len(told(alice.org, "agent.status")) == 1


def test_what_runs_goes_on_when_its_agent_is_paused(alice, world):
    assert world["task"]
    (task,) = claim(world["agent"])
    alice.post(f"/agents/{world['agent']}/pause")
    assert leases.complete(task, result={"content": "done"})


def test_a_patch_changes_what_it_names(alice, world):
    agent = world["agent"]
    before = shown(alice, agent)
    changed = alice.patch(f"/agents/{agent}", {"name": "New", "maxConcurrentTasks": 9}).json()["agent"]
    assert changed == before | {"name": "New", "maxConcurrentTasks": 9}
    assert alice.patch(f"/agents/{agent}", {}).json()["agent"] == changed
    assert alice.patch(f"/agents/{agent}", {"capabilities": []}).json()["agent"]["capabilities"] == []


@pytest.mark.parametrize("field", ["id", "type", "status", "load", "currentTasks", "createdAt"])
def test_the_rest_cannot_be_changed(alice, world, field):
    before = shown(alice, world["agent"])
    alice.patch(f"/agents/{world['agent']}", {field: "claude"})
    assert shown(alice, world["agent"]) == before


def test_a_deleted_agent_is_gone_and_its_work_is_cancelled(alice, world):
    agent, waiting = world["agent"], world.submit()
    running = world.submit(priority="urgent")
    done = world.submit(priority="high")
    (task,) = claim(agent)
    assert task.pk == running
    assert answer(agent).pk == done
    response = alice.delete(f"/agents/{agent}")
    assert (response.status_code, response.json()["message"]) == (200, "Agent deleted")
    assert dict(Task.objects.values_list("pk", "status")) == {
        waiting: "cancelled",
        running: "cancelled",
        done: "completed",
    }
    after = stored()
    for method, sub in (
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("GET", "/status"),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("POST", "/tasks"),
    ):
        body = {"type": "t", "description": "d"} if sub == "/tasks" else {"name": "x"}
        refused(alice.call(method, f"/agents/{agent}{sub}", body), 404, "not_found")
    assert agent not in {one["id"] for one in alice.get("/agents").json()["agents"]}
    assert alice.get(f"/tasks/{done}").status_code == 200
    assert stored() == after


def test_deleting_an_agent_leaves_the_others_alone(alice, world):
    other = World(alice)
    task = other.submit()
    assert world["task"]
    alice.delete(f"/agents/{world['agent']}")
    assert alice.get(f"/tasks/{task}").json()["task"]["status"] == "queued"
    assert shown(alice, other["agent"])["id"] == other["agent"]
