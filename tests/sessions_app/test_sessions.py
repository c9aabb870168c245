"""Sessions over REST: their shape, their configuration, their end."""

import re
from datetime import timedelta

import pytest

from agents_app.models import Task
from sessions_app.conversation import before_task
from sessions_app.models import Message, Session
from sessions_app.tasks import sweep
from taskmaster.core.clock import iso, now
from tests.api.working import answer, break_down, claim, told
from tests.api.world import World, stored

pytestmark = pytest.mark.django_db
DEFAULTS = {
    "capabilities": [],
    "timeout": 30_000,
    "maxConcurrentTasks": 5,
    "permissionMode": "default",
    "tokenBudget": None,
}


def refused(response, status, code):
    assert (response.status_code, response.json()["code"]) == (status, code), response.json()
    return response.json()


def go_idle(session_id):
    """As if nobody had used it for more than a day."""
    Session.objects.filter(pk=session_id).update(last_activity=now() - timedelta(hours=24, seconds=1))


@pytest.mark.parametrize("kind", ["codegen", "claude", "custom"])
def test_a_session_needs_nothing_but_a_type(alice, kind):
    response = alice.post("/sessions", {"agentType": kind})
    session = response.json()["session"]
    assert response.status_code == 201
    assert response["Location"] == f"/api/v1/sessions/{session['id']}"
    assert re.fullmatch(r"session_[0-9a-z]{26}", session["id"])
    assert session == {
        "id": session["id"],
        "agentType": kind,
        "agentId": None,
        "status": "active",
        "configuration": DEFAULTS,
        "createdAt": session["createdAt"],
        "lastActivity": session["lastActivity"],
        "webSocketCount": 0,
        "eventSubscriptions": [],
    }
    unused = {"tokensUsed": 0, "duration": 0, "attempts": 0}
    assert alice.get(f"/sessions/{session['id']}").json()["session"] == session | {"usage": unused}
    assert told(alice.org, "session.") == [
        ("session.created", {"sessionId": session["id"], "agentType": kind, "agentId": None})
    ]


def test_the_references_example(alice):
    configuration = {"capabilities": ["code_generation", "file_operations"], "timeout": 30000, "maxConcurrentTasks": 5}
    body = {"agentType": "codegen", "configuration": configuration}
    assert alice.post("/sessions", body).json()["session"]["configuration"] == DEFAULTS | configuration


@pytest.mark.parametrize(
    ("field", "good"),
    [
        ("timeout", [1_000, 600_000]),
        ("maxConcurrentTasks", [1, 100]),
        ("permissionMode", ["default", "acceptEdits", "plan"]),
        ("tokenBudget", [1, 2**53 - 1, None]),
        ("capabilities", [[], ["a", "b"], ["é" * 200]]),
    ],
)
def test_the_bounds_are_good(alice, field, good):
    for value in good:
        response = alice.post("/sessions", {"agentType": "custom", "configuration": {field: value}})
        assert response.json()["session"]["configuration"] == DEFAULTS | {field: value}


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("timeout", [999, 600_001, 0, -1, 30_000.5, "30000", None, True]),
        ("maxConcurrentTasks", [0, 101, -1, 1.5, "5", None, True]),
        ("permissionMode", ["", "Plan", "bypassPermissions", None, 5]),
        ("tokenBudget", [0, -1, 1.5, "5", True]),
        ("capabilities", ["code", [""], [5], ["x" * 201], ["x"] * 101, None, {"a": 1}]),
    ],
)
def test_past_the_bounds_the_field_is_named(alice, field, bad):
    session = alice.post("/sessions", {"agentType": "custom"}).json()["session"]
    before = stored()
    for value in bad:
        body = {"configuration": {field: value}}
        for response in (
            alice.post("/sessions", {"agentType": "custom"} | body),
            alice.patch(f"/sessions/{session['id']}", body),
        ):
            (detail, *_) = refused(response, 400, "validation_failed")["details"]
            assert re.sub(r"\.0$", "", detail["field"]) == f"configuration.{field}", value
    assert stored() == before


def test_a_pinned_agent_must_be_of_the_type(alice, world):
    assert world["agent"]
    before = stored()
    document = refused(
        alice.post("/sessions", {"agentType": "claude", "agentId": world["agent"]}), 400, "validation_failed"
    )
    assert document["details"][0]["field"] == "agentId"
    assert stored() == before


def test_a_pinned_agents_capabilities_are_not_checked(alice, world):
    configuration = {"capabilities": ["juggling"]}
    body = {"agentType": "custom", "agentId": world["agent"], "configuration": configuration}
    session = alice.post("/sessions", body).json()["session"]
    assert session["agentId"] == world["agent"]
    said = alice.post(f"/sessions/{session['id']}/messages", {"content": "hello"})
    assert said.status_code == 202
    assert Task.objects.get().agent_id == world["agent"]


def test_a_deleted_agent_cannot_be_pinned(alice, world):
    alice.delete(f"/agents/{world['agent']}")
    refused(alice.post("/sessions", {"agentType": "custom", "agentId": world["agent"]}), 404, "not_found")


def test_agent_id_null_pins_none(alice):
    assert alice.post("/sessions", {"agentType": "custom", "agentId": None}).json()["session"]["agentId"] is None


def test_sessions_are_listed_newest_first_and_by_filter(alice, charlie):
    ids = [
        alice.post("/sessions", {"agentType": kind}).json()["session"]["id"] for kind in ("custom", "claude", "custom")
    ]
    charlie.post("/sessions", {"agentType": "custom"})

    def listed(query=""):
        return [session["id"] for session in alice.get(f"/sessions{query}").json()["sessions"]]

    assert listed() == ids[::-1]
    assert listed("?agentType=claude") == [ids[1]]
    assert listed("?agentType=custom&status=active") == [ids[2], ids[0]]
    assert listed("?status=expired") == []


@pytest.mark.parametrize("query", ["status=sleeping", "status=", "status=active%00", "agentType=poet", "agentType="])
def test_a_filter_that_can_find_nothing_is_refused(alice, query):
    document = refused(alice.get(f"/sessions?{query}"), 400, "validation_failed")
    assert document["details"][0]["field"] == query.partition("=")[0]


def test_a_filter_by_status_agrees_with_the_status_shown(alice):
    """Also in the moment in which an idle session has not been swept yet."""
    idle, used = (alice.post("/sessions", {"agentType": "custom"}).json()["session"]["id"] for _ in range(2))
    go_idle(idle)
    for _ in range(2):
        for status, expected in (("expired", idle), ("active", used)):
            sessions = alice.get(f"/sessions?status={status}").json()["sessions"]
            assert [(session["id"], session["status"]) for session in sessions] == [(expected, status)]
        sweep()


def test_a_patch_changes_what_it_names(alice, world):
    path = f"/sessions/{world['session']}"
    assert alice.patch(path, {"configuration": {"timeout": 5000}}).json()["session"]["configuration"] == DEFAULTS | {
        "timeout": 5000
    }
    changed = alice.patch(path, {"configuration": {"permissionMode": "plan", "tokenBudget": 9}})
    expected = DEFAULTS | {"timeout": 5000, "permissionMode": "plan", "tokenBudget": 9}
    assert changed.json()["session"]["configuration"] == expected
    assert alice.patch(path, {"configuration": {}}).json()["session"]["configuration"] == expected
    assert alice.patch(path, {"configuration": {"tokenBudget": None}}).json()["session"]["configuration"] == (
        expected | {"tokenBudget": None}
    )
    assert alice.get(path).json()["session"]["configuration"]["timeout"] == 5000


def test_a_patch_of_anything_else_changes_nothing(alice, world):
    path = f"/sessions/{world['session']}"
    before = alice.get(path).json()["session"]
    body = {"configuration": {"status": "expired"}, "agentType": "claude", "status": "expired", "id": "session_x"}
    assert alice.patch(path, body).status_code == 200
    assert alice.get(path).json()["session"] == before


def test_a_patched_timeout_counts_for_the_next_message(alice, world):
    alice.patch(f"/sessions/{world['session']}", {"configuration": {"timeout": 1500}})
    response = alice.post(f"/sessions/{world['session']}/messages", {"content": "hello"})
    assert response.wait.seconds == 1.5


def test_a_patched_limit_counts_for_tasks_that_wait_already(alice, world):
    for _ in range(3):
        world.submit(sessionId=world["session"])
    alice.patch(f"/sessions/{world['session']}", {"configuration": {"maxConcurrentTasks": 1}})
    assert len(claim(world["agent"], 3)) == 1
    assert claim(world["agent"], 3) == []
    alice.patch(f"/sessions/{world['session']}", {"configuration": {"maxConcurrentTasks": 2}})
    assert len(claim(world["agent"], 3)) == 1


def test_a_deleted_session_is_gone_for_every_call(alice, world):
    path, message = f"/sessions/{world['session']}", world["message"]
    response = alice.delete(path)
    assert (response.status_code, response.json()["message"]) == (200, "Session deleted")
    after = stored()
    for method, sub in (
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("GET", "/messages"),
        ("POST", "/messages"),
        ("GET", f"/messages/{message}"),
        ("POST", f"/messages/{message}/cancel"),
    ):
        body = {"content": "x", "configuration": {}} if method in ("POST", "PATCH") else None
        refused(alice.call(method, path + sub, body), 404, "not_found")
    body = {"type": "t", "description": "d", "sessionId": world["session"]}
    refused(alice.post(f"/agents/{world['agent']}/tasks", body), 404, "not_found")
    assert alice.get("/sessions").json()["sessions"] == []
    assert stored() == after


def test_a_deletion_cancels_what_is_unfinished_and_nothing_else(alice, world):
    done = world.say("first")
    answer(world["agent"])
    running, waiting = world.say("second"), world.say("third")
    own = world.submit(sessionId=world["session"])
    other = world.submit()
    (claimed,) = claim(world["agent"])
    assert claimed.origin_id == running
    alice.delete(f"/sessions/{world['session']}")
    statuses = dict(Message.objects.values_list("pk", "status"))
    assert statuses == {done: "completed", running: "cancelled", waiting: "cancelled"}
    tasks = dict(Task.objects.values_list("pk", "status"))
    assert (tasks[claimed.pk], tasks[own], tasks[other]) == ("cancelled", "cancelled", "queued")
    kinds = [kind for kind, _ in told(alice.org, "session.deleted", "message.cancelled", "task.cancelled")]
    assert sorted(kinds) == ["message.cancelled"] * 2 + ["session.deleted"] + ["task.cancelled"] * 2


def test_an_idle_session_expires_and_can_still_be_read(alice, world):
    message, path = world["message"], f"/sessions/{world['session']}"
    answer(world["agent"])
    go_idle(world["session"])
    for _ in range(2):
        assert alice.get(path).json()["session"]["status"] == "expired"
        assert alice.get(f"{path}/messages").json()["messages"][0]["id"] == message
        assert alice.get(f"{path}/messages/{message}").status_code == 200
        sweep()
    assert [kind for kind, _ in told(alice.org, "session.expired")] == ["session.expired"]
    assert told(alice.org, "session.expired")[0][1] == {"sessionId": world["session"]}


@pytest.mark.parametrize("swept", [False, True], ids=["before the sweep", "after the sweep"])
@pytest.mark.django_db(transaction=True)
def test_nothing_can_be_said_in_an_expired_session(alice, world, swept):
    assert world["session"]
    go_idle(world["session"])
    if swept:
        sweep()
    before = stored()
    path = f"/sessions/{world['session']}/messages"
    document = refused(alice.post(path, {"content": "hello"}), 409, "invalid_state")
    assert document["details"] == [{"field": "status", "message": "expired"}]
    body = {"type": "t", "description": "d", "sessionId": world["session"]}
    document = refused(alice.post(f"/agents/{world['agent']}/tasks", body), 409, "invalid_state")
    assert document["details"] == [{"field": "status", "message": "expired"}]
    assert stored() == before


def test_a_session_at_work_or_in_use_does_not_expire(alice, world):
    busy = World(alice)
    assert busy["message"]
    assert world["session"]
    go_idle(busy["session"])
    sweep()
    assert alice.get(f"/sessions/{busy['session']}").json()["session"]["status"] == "active"
    assert alice.get(f"/sessions/{world['session']}").json()["session"]["status"] == "active"
    assert told(alice.org, "session.expired") == []


def test_a_message_keeps_a_session_alive(alice, world):
    assert world["session"]
    yesterday = now() - timedelta(hours=23)
    Session.objects.update(last_activity=yesterday)
    assert world["message"]
    answer(world["agent"])
    assert alice.get(f"/sessions/{world['session']}").json()["session"]["lastActivity"] > iso(yesterday)


def test_the_idle_time_is_a_setting(alice, world, settings):
    settings.SESSION_IDLE_SECONDS = 60
    Session.objects.filter(pk=world["session"]).update(last_activity=now() - timedelta(seconds=61))
    assert alice.get(f"/sessions/{world['session']}").json()["session"]["status"] == "expired"


def test_a_deleted_session_never_expires(alice, world):
    assert world["session"]
    alice.delete(f"/sessions/{world['session']}")
    go_idle(world["session"])
    sweep()
    assert told(alice.org, "session.expired") == []


def test_the_sweep_finishes_what_a_deletion_left(alice, world):
    assert world["message"]
    Session.objects.update(deleted_at=now())
    sweep()
    assert Task.objects.get().status == "cancelled"
    assert Message.objects.get().status == "cancelled"


def test_the_agent_is_told_the_conversation_so_far(alice, world):
    for content, reply in (("one", "1"), ("two", "2")):
        world.say(content)
        answer(world["agent"], reply)
    world.say("broken")
    break_down(world["agent"])
    world.say("now")
    (task,) = claim(world["agent"])
    assert before_task(task) == [("user", "one"), ("assistant", "1"), ("user", "two"), ("assistant", "2")]


def test_a_conversation_stays_within_its_session(alice, world):
    other = alice.post("/sessions", {"agentType": "custom", "agentId": world["agent"]}).json()["session"]["id"]
    world.say("secret")
    answer(world["agent"])
    alice.post(f"/sessions/{other}/messages", {"content": "hello"})
    (task,) = claim(world["agent"])
    assert before_task(task) == []


def test_a_long_conversation_keeps_its_end(alice, world):
    world.say("x" * 250_000)
    answer(world["agent"], "y" * 100_000)
    world.say("z" * 200_000)
    answer(world["agent"], "short")
    world.say("now")
    (task,) = claim(world["agent"])
    assert before_task(task) == [("user", "z" * 200_000), ("assistant", "short")]
