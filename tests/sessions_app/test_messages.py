"""Messages: answered in order, one at a time, none dropped; and every way in which one can end."""

import json
import re

import pytest

from agents_app import leases
from agents_app.models import Task
from sessions_app.models import Message
from tests.api.racing import at_once
from tests.api.working import answer, break_down, claim, told
from tests.api.world import stored
from tests.conftest import person

from .test_sessions import refused

pytestmark = pytest.mark.django_db
METADATA = """{"zebra": 1, "snake_case": {"inner_key": [1, 2.0, -0.5, 1e300, 0.1, 9007199254740991, null, true, ""]},
 "camelCase": "Ünïcødé ☃ 😀 \\u2028 <b>&amp;", "apple": {"z": {}, "a": [], "": "empty"}, "10": "ten", "9": "nine",
 "__proto__": {"x": 1}, "__class__": "c", "pk": 5, "priority": ["not", "a", "priority"], "context": "text"}"""


@pytest.fixture
def path(world):
    return f"/sessions/{world['session']}/messages"


def shown(alice, path, message_id):
    return alice.get(f"{path}/{message_id}").json()["message"]


def statuses():
    return list(Message.objects.order_by("position").values_list("status", flat=True))


def test_a_message_that_waits(alice, world, path):
    response = alice.post(path, {"content": "hello", "metadata": {"type": "greeting"}})
    document = response.json()
    message_id = document["messageId"]
    assert response.status_code == 202
    assert document["data"] == {"messageId": message_id, "status": "queued", "response": None}
    assert response["Location"] == f"/api/v1{path}/{message_id}"
    assert re.fullmatch(r"msg_[0-9a-z]{26}", message_id)
    assert (response.wait.key, response.wait.seconds, response.wait.streams) == (f"message:{message_id}", 30.0, False)
    message = shown(alice, path, message_id)
    assert message == {
        "id": message_id,
        "sessionId": world["session"],
        "content": "hello",
        "metadata": {"type": "greeting"},
        "response": None,
        "status": "queued",
        "error": None,
        "timestamp": message["timestamp"],
    }


def test_an_asynchronous_message_waits_for_nothing(alice, path):
    response = alice.post(path, {"content": "hello"}, prefer="respond-async, wait=5")
    assert (response.status_code, response.wait) == (202, None)
    assert response["Preference-Applied"] == "respond-async"


def test_an_event_stream_is_asked_for_by_accept(alice, path):
    response = alice.post(path, {"content": "hello"}, accept="text/event-stream")
    assert response.wait.streams is True
    assert response.wait.live_key == f"live:{response.json()['messageId']}"
    assert response.wait.last_event() is None


def test_the_answer(alice, world, path):
    response = alice.post(path, {"content": "hello"})
    task = answer(world["agent"], "Hello, world.", truncated=True)
    final = response.wait.finish()
    document = json.loads(final.content)
    assert final.status_code == 200
    assert document["data"]["status"] == "completed"
    assert document["response"] == {
        "type": "text_response",
        "content": "Hello, world.",
        "metadata": {
            "processingTime": task.duration,
            "tokensUsed": 7,
            "agentId": world["agent"],
            "backend": "echo",
            "model": "echo-1",
            "truncated": True,
        },
    }
    assert isinstance(task.duration, int)
    assert task.duration >= 0
    message = shown(alice, path, document["messageId"])
    assert (message["status"], message["response"]) == ("completed", document["response"])


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("Here:\n```python\nprint(1)\n```", "code_response"),
        ("```\nx\n```", "code_response"),
        ("Use `print`.", "text_response"),
        ("", "text_response"),
    ],
)
def test_a_code_block_makes_a_code_response(alice, world, path, content, kind):
    message_id = world.say("hello")
    answer(world["agent"], content)
    response = shown(alice, path, message_id)["response"]
    assert (response["type"], response["content"]) == (kind, content)


def test_tokens_are_never_guessed(alice, world, path):
    message_id = world.say("hello")
    (task,) = claim(world["agent"])
    leases.complete(task, result={"content": "hi"}, backend="echo")
    metadata = shown(alice, path, message_id)["response"]["metadata"]
    assert (metadata["tokensUsed"], metadata["model"], metadata["truncated"]) == (0, None, False)


def test_metadata_comes_back_as_it_was(alice, path):
    raw = f'{{"content": "hello", "metadata": {METADATA}}}'.encode()
    message_id = alice.post(path, raw).json()["messageId"]
    for response in (alice.get(f"{path}/{message_id}"), alice.get(path)):
        text = response.content.decode()
        document = json.loads(text, object_pairs_hook=list)
        members = dict(document)
        message = dict(members["message"] if "message" in members else members["messages"][0])
        expected = json.loads(METADATA, object_pairs_hook=list)
        assert message["metadata"] == expected
        assert repr(message["metadata"]) == repr(expected)  # 2.0 is not 2.


@pytest.mark.parametrize("given", [{}, {"metadata": None}, {"metadata": {}}])
def test_metadata_may_be_left_out(alice, path, given):
    message_id = alice.post(path, {"content": "hello"} | given).json()["messageId"]
    assert shown(alice, path, message_id)["metadata"] == {}


@pytest.mark.parametrize("content", ["x", " padded \n", "☃😀", "x" * (256 * 1024), "é" * (128 * 1024)])
def test_content_is_not_touched(alice, path, content):
    message_id = alice.post(path, {"content": content}).json()["messageId"]
    assert shown(alice, path, message_id)["content"] == content
    assert Task.objects.get().description == content


@pytest.mark.parametrize("content", ["", None, 5, True, [], {}, "x" * (256 * 1024 + 1), "é" * (128 * 1024) + "x"])
def test_content_that_is_refused(alice, path, content):
    before = stored()
    details = refused(alice.post(path, {"content": content}), 400, "validation_failed")["details"]
    assert [detail["field"] for detail in details] == ["content"]
    assert stored() == before


def test_priority_and_context_go_with_the_task(alice, path):
    alice.post(path, {"content": "hello", "metadata": {"priority": "high", "context": {"framework": "react"}}})
    task = Task.objects.get()
    assert (task.priority_name, task.context, task.origin) == ("high", {"framework": "react"}, "message")


def test_an_odd_priority_or_context_is_only_metadata(alice, path):
    assert alice.post(path, {"content": "a", "metadata": {"priority": "asap", "context": [1]}}).status_code == 202
    assert (Task.objects.get().priority_name, Task.objects.get().context) == ("normal", {})


def test_messages_are_answered_in_order_one_at_a_time(alice, world, path):
    said = [world.say(str(number)) for number in range(3)]
    assert Task.objects.count() == 1
    answered = []
    for number in range(3):
        assert Task.objects.count() == number + 1
        (task,) = claim(world["agent"], 5)
        assert claim(world["agent"], 5) == []
        assert statuses() == ["completed"] * number + ["processing"] + ["queued"] * (2 - number)
        assert leases.complete(task, result={"content": f"re {number}"})
        answered.append(task.origin_id)
    assert answered == said
    listed = alice.get(path).json()["messages"]
    assert [(m["id"], m["content"], m["response"]["content"]) for m in listed] == [
        (said[number], str(number), f"re {number}") for number in range(3)
    ]


def test_an_urgent_message_does_not_overtake_in_its_session(alice, world, path):
    first = world.say("first")
    world.say("second")
    alice.post(path, {"content": "third", "metadata": {"priority": "urgent"}})
    assert answer(world["agent"]).origin_id == first
    assert answer(world["agent"]).description == "second"
    assert answer(world["agent"]).description == "third"


def test_after_a_failure_the_next_one_goes_on(alice, world, path):
    first = alice.post(path, {"content": "first"})
    second = world.say("second")
    break_down(world["agent"], "The model is on fire.")
    assert statuses() == ["failed", "queued"]
    final = first.wait.finish()
    document = json.loads(final.content)
    assert (final.status_code, document["code"], document["error"]) == (502, "agent_failed", "The model is on fire.")
    assert {"field": "messageId", "message": first.json()["messageId"]} in document["details"]
    message = shown(alice, path, first.json()["messageId"])
    assert (message["status"], message["error"], message["response"]) == ("failed", "The model is on fire.", None)
    assert answer(world["agent"]).origin_id == second
    assert statuses() == ["failed", "completed"]


def test_cancel_of_one_that_waits_for_its_turn(alice, world, path):
    world.say("first")
    second = alice.post(path, {"content": "second"})
    message_id = second.json()["messageId"]
    response = alice.post(f"{path}/{message_id}/cancel")
    assert (response.status_code, response.json()["message"]["status"]) == (200, "cancelled")
    assert json.loads(second.wait.finish().content)["code"] == "invalid_state"
    assert Task.objects.count() == 1
    answer(world["agent"])
    assert claim(world["agent"]) == []
    assert statuses() == ["completed", "cancelled"]
    assert [data["messageId"] for _, data in told(alice.org, "message.cancelled")] == [message_id]


def test_cancel_of_the_one_whose_turn_it_is(alice, world, path):
    first, second = world.say("first"), world.say("second")
    alice.post(f"{path}/{first}/cancel")
    assert statuses() == ["cancelled", "queued"]
    assert answer(world["agent"]).origin_id == second
    assert statuses() == ["cancelled", "completed"]


def test_cancel_of_one_that_is_processed(alice, world, path):
    first, second = world.say("first"), world.say("second")
    (task,) = claim(world["agent"])
    response = alice.post(f"{path}/{first}/cancel")
    assert response.json()["message"]["status"] == "cancelled"
    assert not leases.complete(task, result={"content": "too late"})
    assert shown(alice, path, first)["response"] is None
    assert answer(world["agent"]).origin_id == second


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
def test_cancel_of_a_finished_one_is_a_conflict(alice, world, path, end):
    message_id = world.say("first")
    if end == "completed":
        answer(world["agent"])
    elif end == "failed":
        break_down(world["agent"])
    else:
        alice.post(f"{path}/{message_id}/cancel")
    before = stored()
    document = refused(alice.post(f"{path}/{message_id}/cancel"), 409, "invalid_state")
    assert {"field": "status", "message": end} in document["details"]
    changed = {name for name, rows in stored().items() if rows != before[name]}
    assert changed <= {"Session"}  # Its last activity.


def test_every_step_is_told_in_order(alice, world, path):
    message_id = world.say("hello")
    answer(world["agent"], "hi")
    news = told(alice.org, "message.", "task.")
    assert [kind for kind, _ in news] == [
        "message.queued",
        "task.queued",
        "task.started",
        "message.started",
        "task.completed",
        "message.completed",
    ]
    assert all(data["messageId"] == message_id for _, data in news)
    assert all(data["sessionId"] == world["session"] for _, data in news)
    assert news[-1][1]["response"]["content"] == "hi"


def test_messages_can_be_listed_by_status(alice, world, path):
    done, waiting = world.say("first"), world.say("second")
    answer(world["agent"])
    for status, expected in (("completed", [done]), ("queued", [waiting]), ("failed", [])):
        assert [message["id"] for message in alice.get(f"{path}?status={status}").json()["messages"]] == expected
    strange = alice.get(f"{path}?status=sleeping")
    assert (strange.status_code, strange.json()["details"][0]["field"]) == (400, "status")


@pytest.mark.django_db(transaction=True)
def test_where_nobody_could_ever_answer_nothing_is_written(alice):
    configuration = {"capabilities": ["juggling"]}
    body = {"agentType": "custom", "configuration": configuration}
    session = alice.post("/sessions", body).json()["session"]["id"]
    before = stored()
    document = refused(alice.post(f"/sessions/{session}/messages", {"content": "hello"}), 503, "no_agent")
    assert "juggling" in document["error"]
    assert stored() == before


@pytest.mark.django_db(transaction=True)
def test_a_deleted_pinned_agent_is_a_503_also_for_one_that_would_wait(alice, world, path):
    first, second = world.say("first"), world.say("second")
    alice.delete(f"/agents/{world['agent']}")
    assert statuses() == ["cancelled", "failed"]
    assert shown(alice, path, first)["status"] == "cancelled"
    assert "deleted" in shown(alice, path, second)["error"]
    before = stored()
    refused(alice.post(path, {"content": "third"}), 503, "no_agent")
    assert stored() == before


def test_a_message_that_can_never_be_answered_ends_as_503(alice, world, path):
    assert world.say("first")
    second = alice.post(path, {"content": "second"})
    alice.delete(f"/agents/{world['agent']}")
    final = second.wait.finish()
    assert (final.status_code, json.loads(final.content)["code"]) == (503, "no_agent")


def test_a_paused_agent_keeps_its_messages(alice, world, path):
    alice.post(f"/agents/{world['agent']}/pause")
    assert alice.post(path, {"content": "hello"}).status_code == 202
    assert claim(world["agent"]) == []
    alice.post(f"/agents/{world['agent']}/resume")
    assert len(claim(world["agent"])) == 1


def test_an_unpinned_message_goes_to_the_least_loaded_agent(alice, world):
    agent = {"name": "twin", "type": "custom", "backend": "echo", "capabilities": ["poetry"]}
    agents = [alice.post("/agents", agent).json()["agent"]["id"] for _ in range(2)]
    body = {"agentType": "custom", "configuration": {"capabilities": ["poetry"]}}
    for _ in range(4):
        session = alice.post("/sessions", body).json()["session"]["id"]
        alice.post(f"/sessions/{session}/messages", {"content": "hello"})
    found = list(Task.objects.order_by("id").values_list("agent_id", flat=True))
    assert sorted(found) == sorted(agents * 2)


@pytest.mark.django_db(transaction=True)
def test_messages_sent_at_once_are_all_kept_and_have_one_order(alice, world, path):
    people = [person(alice.org) for _ in range(4)]
    calls = [
        lambda n=n, who=who: [who.post(path, {"content": f"{n}.{i}"}).status_code for i in range(4)]
        for n, who in enumerate(people)
    ]
    assert at_once(*calls) == [[202] * 4] * 4
    assert Task.objects.count() == 1
    positions = list(Message.objects.order_by("position").values_list("position", flat=True))
    assert positions == list(range(1, 17))
    order = [message["content"] for message in alice.get(path).json()["messages"]]
    assert sorted(order) == sorted(f"{n}.{i}" for n in range(4) for i in range(4))
    answered = [answer(world["agent"]).description for _ in range(16)]
    assert answered == order
    assert claim(world["agent"]) == []


@pytest.mark.django_db(transaction=True)
def test_cancels_at_once_have_one_winner(alice, world, path):
    message_id = world.say("hello")
    people = [person(alice.org) for _ in range(4)]
    answers = at_once(*[lambda who=who: who.post(f"{path}/{message_id}/cancel").status_code for who in people])
    assert sorted(answers) == [200, 409, 409, 409]
    assert len(told(alice.org, "message.cancelled")) == 1
