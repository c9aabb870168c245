"""Tasks over REST: their shape, who gets them, and how they are called off and tried again."""

import re
from datetime import timedelta

import pytest

from agents_app import leases
from agents_app.models import Agent, Task, Worker
from taskmaster.core.clock import now
from tests.api.working import answer, break_down, claim, told
from tests.api.world import World, stored

pytestmark = pytest.mark.django_db
REFERENCE = {
    "type": "code_generation",
    "description": "Implement user authentication API",
    "requirements": ["Use JWT tokens", "Include password hashing", "Add rate limiting"],
    "priority": "high",
    "context": {"repository": "user-service", "branch": "feature/auth"},
}


@pytest.fixture
def world(alice):
    return World(alice)


def refused(response, status, code):
    assert (response.status_code, response.json()["code"]) == (status, code), response.json()
    return response.json()


def task_of(alice, task_id):
    return alice.get(f"/tasks/{task_id}").json()["task"]


def test_the_references_example(alice, world):
    response = alice.post(f"/agents/{world['agent']}/tasks", REFERENCE)
    document = response.json()
    task_id = document["taskId"]
    assert response.status_code == 202
    assert response["Location"] == f"/api/v1/tasks/{task_id}"
    assert re.fullmatch(r"task_[0-9a-z]{26}", task_id)
    assert document["data"] == {
        "taskId": task_id,
        "estimatedDuration": 60_000,
        "assignedAt": document["assignedAt"],
        "status": "queued",
        "agentId": world["agent"],
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", document["assignedAt"])
    task = task_of(alice, task_id)
    assert task == REFERENCE | {
        "id": task_id,
        "status": "queued",
        "progress": 0,
        "result": None,
        "error": None,
        "agentId": world["agent"],
        "sessionId": None,
        "workflowId": None,
        "attempts": 0,
        "tokensUsed": 0,
        "timeout": 1_800_000,
        "createdAt": task["createdAt"],
        "assignedAt": document["assignedAt"],
        "startedAt": None,
        "finishedAt": None,
        "duration": None,
    }


def test_the_defaults(alice, world):
    task = task_of(alice, world["task"])
    found = {name: task[name] for name in ("requirements", "context", "priority", "timeout", "sessionId")}
    assert found == {
        "requirements": [],
        "context": {},
        "priority": "normal",
        "timeout": 1_800_000,
        "sessionId": None,
    }


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("type", ["", "x" * 101]),
        ("description", [""]),
        ("priority", ["", "asap", "High", 2]),
        ("timeout", [999, 86_400_001, 0, 1000.5]),
        ("requirements", [["x" * 10_001], ["x"] * 1001, [""], "x"]),
        ("context", [[], "x", 5]),
    ],
)
def test_past_the_bounds_the_field_is_named(alice, world, field, bad):
    path = f"/agents/{world['agent']}/tasks"
    before = stored()
    for value in bad:
        document = refused(alice.post(path, REFERENCE | {field: value}), 400, "validation_failed")
        assert {re.sub(r"\.0$", "", detail["field"]) for detail in document["details"]} == {field}
    assert stored() == before


def test_a_context_comes_back_as_it_was(alice, world):
    raw = b'{"type": "t", "description": "d", "context": {"zebra_crossing": 1.0, "Apple": {"b": null, "a": [1e300]}}}'
    task_id = alice.post(f"/agents/{world['agent']}/tasks", raw).json()["taskId"]
    text = alice.get(f"/tasks/{task_id}").content
    assert b'"context":{"zebra_crossing":1.0,"Apple":{"b":null,"a":[1e300]}}' in text.replace(b"1e+300", b"1e300")


@pytest.mark.parametrize("state", ["active", "paused", "full"])
def test_a_pinned_task_always_queues(alice, world, state):
    agent = world["agent"]
    if state == "paused":
        alice.post(f"/agents/{agent}/pause")
    if state == "full":
        alice.patch(f"/agents/{agent}", {"maxConcurrentTasks": 1})
        world.submit()
        assert len(claim(agent)) == 1
    response = alice.post(f"/agents/{agent}/tasks", REFERENCE)
    assert (response.status_code, response.json()["status"]) == (202, "queued")
    assert response.json()["assignedAt"] is not None
    assert len(claim(agent)) == (1 if state == "active" else 0)


def test_a_task_for_a_deleted_agent_is_a_404(alice, world):
    alice.delete(f"/agents/{world['agent']}")
    before = stored()
    refused(alice.post(f"/agents/{world['agent']}/tasks", REFERENCE), 404, "not_found")
    assert stored() == before


def test_the_estimate_is_the_median_of_what_came_before(alice, world):
    assert world["agent"]
    for seconds in (1, 2, 10):
        world.submit(type="build")
        task = answer(world["agent"])
        Task.objects.filter(pk=task.pk).update(started_at=task.finished_at - timedelta(seconds=seconds))
    world.submit(type="build")
    failed = break_down(world["agent"])
    Task.objects.filter(pk=failed.pk).update(started_at=failed.finished_at - timedelta(hours=5))

    def estimate(kind):
        body = {"type": kind, "description": "d"}
        return alice.post(f"/agents/{world['agent']}/tasks", body).json()["estimatedDuration"]

    assert estimate("build") == 2000
    assert estimate("another") == 60_000


def routed(alice, **fields):
    return alice.post("/tasks", {"agentType": "custom", "type": "t", "description": "d"} | fields)


def test_a_routed_task_needs_a_fitting_agent(alice, world, echo):
    assert routed(alice, capabilities=["code_generation"]).status_code == 202
    before = stored()
    document = refused(routed(alice, capabilities=["code_generation", "juggling"]), 503, "no_agent")
    assert "juggling" in document["error"]
    assert stored() == before


def test_a_routed_task_goes_to_the_least_loaded(alice):
    body = {"type": "custom", "backend": "echo", "capabilities": ["poetry"]}
    small, large = (
        alice.post("/agents", body | {"name": name, "maxConcurrentTasks": size}).json()["agent"]["id"]
        for name, size in (("small", 1), ("large", 3))
    )
    ids = [routed(alice, capabilities=["poetry"]).json()["agentId"] for _ in range(8)]
    assert (ids.count(small), ids.count(large)) == (2, 6)


def test_a_routed_task_avoids_an_agent_that_is_away(alice):
    Worker.objects.create(host="h", pid=1, beat_at=now())
    body = {"type": "custom", "backend": "echo", "capabilities": ["poetry"]}
    paused, active = (
        alice.post("/agents", body | {"name": name}).json()["agent"]["id"] for name in ("paused", "active")
    )
    alice.post(f"/agents/{paused}/pause")
    assert [routed(alice, capabilities=["poetry"]).json()["agentId"] for _ in range(3)] == [active] * 3
    alice.post(f"/agents/{active}/pause")
    assert routed(alice, capabilities=["poetry"]).status_code == 202


def test_a_routed_task_never_leaves_the_organization(alice, charlie):
    body = {"name": "x", "type": "custom", "backend": "echo", "capabilities": ["poetry"]}
    assert charlie.post("/agents", body).status_code == 201
    refused(routed(alice, capabilities=["poetry"]), 503, "no_agent")


def test_a_task_runs_and_ends(alice, world):
    task_id = world["task"]
    (claimed,) = claim(world["agent"])
    running = task_of(alice, task_id)
    assert (running["status"], running["attempts"], running["finishedAt"]) == ("running", 1, None)
    assert running["startedAt"] is not None
    assert leases.report_progress(claimed, 0.5, "half way")
    assert task_of(alice, task_id)["progress"] == 0.5
    assert leases.complete(claimed, result={"content": "done", "snake_case": 1})
    ended = task_of(alice, task_id)
    assert (ended["status"], ended["progress"], ended["error"]) == ("completed", 1, None)
    assert ended["result"] == {"content": "done", "snake_case": 1}
    assert isinstance(ended["duration"], int)
    news = told(alice.org, "task.")
    assert [kind for kind, _ in news] == ["task.queued", "task.started", "task.progress", "task.completed"]
    assert {"taskId", "agentId", "result", "duration"} <= set(news[-1][1])
    assert (news[-1][1]["result"], news[-1][1]["duration"]) == (ended["result"], ended["duration"])
    assert (news[2][1]["progress"], news[2][1]["message"]) == (0.5, "half way")


def test_a_task_fails(alice, world):
    assert world["task"]
    break_down(world["agent"], error="no disk")
    task = task_of(alice, world["task"])
    assert (task["status"], task["error"], task["result"]) == ("failed", "no disk", None)
    assert told(alice.org, "task.failed")[0][1]["error"] == "no disk"


@pytest.mark.parametrize("running", [False, True])
def test_cancel(alice, world, running):
    task_id = world["task"]
    claimed = claim(world["agent"]) if running else []
    response = alice.post(f"/tasks/{task_id}/cancel")
    assert (response.status_code, response.json()["task"]["status"]) == (200, "cancelled")
    assert response.json()["task"]["finishedAt"] is not None
    assert claim(world["agent"]) == []
    assert [kind for kind, _ in told(alice.org, "task.cancelled")] == ["task.cancelled"]
    assert len(claimed) == running


def ended(world, state):
    """A task in that state."""
    task_id = world.submit()
    if state == "running":
        claim(world["agent"])
    elif state == "completed":
        answer(world["agent"])
    elif state == "failed":
        break_down(world["agent"])
    elif state == "cancelled":
        world.person.post(f"/tasks/{task_id}/cancel")
    return task_id


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled"])
def test_cancel_of_an_ended_task_is_a_conflict(alice, world, state):
    task_id = ended(world, state)
    before = stored()
    document = refused(alice.post(f"/tasks/{task_id}/cancel"), 409, "invalid_state")
    assert document["details"] == [{"field": "status", "message": state}]
    assert stored() == before


@pytest.mark.parametrize("state", ["queued", "running", "completed"])
def test_retry_of_a_task_that_did_not_fail_is_a_conflict(alice, world, state):
    task_id = ended(world, state)
    before = stored()
    document = refused(alice.post(f"/tasks/{task_id}/retry"), 409, "invalid_state")
    assert document["details"] == [{"field": "status", "message": state}]
    assert stored() == before


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_retry_begins_anew_and_counts_on(alice, world, state):
    task_id = ended(world, state)
    attempts = 1 if state == "failed" else 0
    task = alice.post(f"/tasks/{task_id}/retry").json()["task"]
    assert (task["status"], task["attempts"], task["error"], task["result"]) == ("queued", attempts, None, None)
    assert (task["startedAt"], task["finishedAt"], task["duration"], task["progress"]) == (None, None, None, 0)
    assert answer(world["agent"]).pk == task_id
    assert task_of(alice, task_id)["attempts"] == attempts + 1


def test_retry_keeps_to_the_limits_that_the_session_has_now(alice, world):
    task_id = world.submit(sessionId=world["session"])
    alice.post(f"/tasks/{task_id}/cancel")
    limits = {"maxConcurrentTasks": 1, "tokenBudget": 1_000}
    assert alice.patch(f"/sessions/{world['session']}", {"configuration": limits}).status_code == 200
    assert alice.post(f"/tasks/{task_id}/retry").status_code == 200
    task = Task.objects.get(pk=task_id)
    assert (task.session_limit, task.session_budget) == (1, 1_000)


def test_nothing_is_retried_in_a_session_that_is_gone(alice, world):
    task_id = world.submit(sessionId=world["session"])
    alice.delete(f"/sessions/{world['session']}")
    before = stored()
    document = refused(alice.post(f"/tasks/{task_id}/retry"), 409, "invalid_state")
    assert document["details"] == [{"field": "sessionId", "message": "gone"}]
    assert stored() == before


def test_a_messages_task_cannot_be_retried(alice, world):
    assert world["message"]
    task = break_down(world["agent"])
    document = refused(alice.post(f"/tasks/{task.pk}/retry"), 409, "invalid_state")
    assert document["error"] == "The task is a message's: send another message."
    assert document["details"] == [{"field": "status", "message": "failed"}]
    task.refresh_from_db()
    assert task.status == "failed"


def test_a_task_whose_agent_is_deleted_is_not_queued_for_nobody(alice, world):
    task_id = ended(world, "cancelled")
    alice.delete(f"/agents/{world['agent']}")
    before = stored()
    document = refused(alice.post(f"/tasks/{task_id}/retry"), 409, "invalid_state")
    assert "deleted" in document["error"]
    assert stored() == before


def test_a_task_that_was_routed_is_retried_by_another_agent(alice, world):
    routed = {"agentType": "custom", "capabilities": ["poetry"]}
    first, second = (
        alice.post("/agents", {"name": n, "type": "custom", "backend": "echo", "capabilities": ["poetry"]}).json()[
            "agent"
        ]["id"]
        for n in ("first", "second")
    )
    answered = alice.post("/tasks", REFERENCE | routed).json()
    other = second if answered["agentId"] == first else first
    alice.post(f"/tasks/{answered['taskId']}/cancel")
    alice.delete(f"/agents/{answered['agentId']}")
    task = alice.post(f"/tasks/{answered['taskId']}/retry").json()["task"]
    assert (task["status"], task["agentId"]) == ("queued", other)
    assert [task.pk for task in claim(other)] == [answered["taskId"]]


def test_a_routed_task_that_nobody_could_take_any_more_is_not_retried(alice, world):
    routed = {"agentType": "custom", "capabilities": ["poetry"]}
    body = {"name": "only", "type": "custom", "backend": "echo", "capabilities": ["poetry"]}
    agent = alice.post("/agents", body).json()["agent"]["id"]
    task_id = alice.post("/tasks", REFERENCE | routed).json()["taskId"]
    alice.post(f"/tasks/{task_id}/cancel")
    alice.delete(f"/agents/{agent}")
    refused(alice.post(f"/tasks/{task_id}/retry"), 503, "no_agent")
    assert task_of(alice, task_id)["status"] == "cancelled"


def test_tasks_are_listed_newest_first_and_by_filter(alice, world):
    one, two = world.submit(type="a"), world.submit(type="b", sessionId=world["session"])
    alice.post(f"/tasks/{one}/cancel")
    other = alice.post(f"/agents/{Agent.objects.exclude(pk=world['agent']).first().pk}/tasks", REFERENCE).json()[
        "taskId"
    ]

    def listed(query):
        return [task["id"] for task in alice.get(f"/tasks?{query}").json()["tasks"]]

    assert listed("") == [other, two, one]
    assert listed("status=cancelled") == [one]
    assert listed(f"agentId={world['agent']}") == [two, one]
    assert listed(f"sessionId={world['session']}") == [two]
    assert listed("type=a") == [one]
    assert listed("type=a&status=queued") == []
    assert listed("workflowId=workflow_x") == []


def test_an_unknown_status_to_filter_by_is_a_400(alice):
    document = refused(alice.get("/tasks?status=sleeping"), 400, "validation_failed")
    assert document["details"][0]["field"] == "status"
