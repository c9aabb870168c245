"""What may be said over a socket, and how nonsense is answered."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.live import Live

from .sockets import Socket, contents, new_session, socket

NEVER = ["task.cancelled"]


@pytest.fixture(scope="module")
def client(installed: Live) -> Iterator[httpx.Client]:
    """Of the first organization."""
    with installed.start().client() as client:
        yield client


@pytest.fixture(scope="module")
def session(installed: Live, client: httpx.Client) -> str:
    """A session with an echo agent."""
    return new_session(client, installed.echo_agent())


@pytest.fixture
def talker(live: Live, session: str) -> Iterator[Socket]:
    """A socket of a session."""
    with socket(live, session) as one:
        yield one


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("{", "bad_request"),
        ("", "bad_request"),
        ("[]", "bad_request"),
        ("null", "bad_request"),
        ("7", "bad_request"),
        (b"\x00\xff", "bad_request"),
        (b'{"type": "ping"}', "bad_request"),
        ('{"type": "ping", "type": "ping"}', "bad_request"),
        ('{"type": "ping", "x": "\\ud800"}', "bad_request"),
        ('{"type": "ping", "x": "\\u0000"}', "bad_request"),
        ('{"type": "ping", "x": 1e999}', "bad_request"),
        ('{"type": "ping", "x": 12345678901234567890}', "bad_request"),
        ('{"type": "ping", "x": ' + "[" * 2000 + "]" * 2000 + "}", "bad_request"),
        ("{}", "unknown_type"),
        ('{"type": null}', "unknown_type"),
        ('{"type": ["ping"]}', "unknown_type"),
        ('{"type": "PING"}', "unknown_type"),
        ('{"type": "' + "x" * 5000 + '"}', "unknown_type"),
        ('{"type": "ping", "ref": "' + "x" * 5000 + '"}', "validation_failed"),
    ],
)
def test_nonsense_is_answered_and_the_socket_lives(talker: Socket, sent: str | bytes, code: str) -> None:
    talker.connection.send(sent)
    answer = talker.next()
    assert (answer["type"], answer["code"], type(answer["error"])) == ("error", code, str)
    assert "ref" not in answer
    assert talker.ask("ping")["type"] == "pong"


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ("{}", "A frame has a type, a string; there are ping, auth, message, subscribe, unsubscribe, confirm, signal."),
        ('{"type": "PING"}', "There is no frame of the type 'PING'; there are ping, auth,"),
    ],
)
def test_a_strange_type_is_told_what_there_is(talker: Socket, sent: str, said: str) -> None:
    talker.connection.send(sent)
    assert talker.next()["error"].startswith(said)


@pytest.mark.parametrize("ref", ["a", "", 7, 0, 1.5, True, {"a": [1]}])
def test_a_ref_is_echoed_in_answers_and_errors(talker: Socket, ref: Any) -> None:
    for kind in ("ping", "nonsense"):
        talker.send(kind, ref=ref)
        assert talker.next()["ref"] == ref


@pytest.mark.parametrize(
    ("kind", "members", "field"),
    [
        ("message", {}, "content"),
        ("message", {"content": ""}, "content"),
        ("message", {"content": 7}, "content"),
        ("message", {"content": "x", "metadata": []}, "metadata"),
        ("message", {"content": "x" * (256 * 1024 + 1)}, "content"),
        ("subscribe", {}, "events"),
        ("subscribe", {"events": []}, "events"),
        ("subscribe", {"events": "*"}, "events"),
        ("subscribe", {"events": [1]}, "events"),
        ("subscribe", {"events": ["task.nothing"]}, "events"),
        ("subscribe", {"events": ["task.*", "tasks.*"]}, "events"),
        ("subscribe", {"events": ["*"] * 101}, "events"),
        ("subscribe", {"events": ["*"], "filter": []}, "filter"),
        ("subscribe", {"events": ["*"], "filter": {"sessionId": 7}}, "filter.sessionId"),
        ("subscribe", {"events": ["*"], "filter": {"taskId": ""}}, "filter.taskId"),
        ("subscribe", {"events": ["*"], "filter": {"workflowId": "x" * 65}}, "filter.workflowId"),
        ("subscribe", {"events": ["*"], "filter": {"agentId": "x"}}, "filter.agentId"),
        ("subscribe", {"events": ["*"], "since": -1}, "since"),
        ("subscribe", {"events": ["*"], "since": "1"}, "since"),
        ("subscribe", {"events": ["*"], "since": True}, "since"),
        ("subscribe", {"events": ["*"], "since": 2**53 - 1}, "since"),
        ("unsubscribe", {"events": ["nothing"]}, "events"),
        ("confirm", {"confirmed": True}, "actionId"),
        ("confirm", {"actionId": "action_1"}, "confirmed"),
    ],
)
def test_a_wrong_member_is_named_and_nothing_is_changed(
    talker: Socket, kind: str, members: dict[str, Any], field: str
) -> None:
    answer = talker.ask(kind, **members)
    assert (answer["type"], answer["code"]) == ("error", "validation_failed")
    assert [detail["field"] for detail in answer["details"]] == [field]
    assert talker.ask("unsubscribe", events=NEVER)["subscriptions"] == []


def test_a_confirm_of_nothing_and_a_signal_to_nothing_are_not_found(talker: Socket) -> None:
    assert talker.ask("confirm", actionId="action_1", confirmed=True)["code"] == "not_found"
    assert talker.ask("signal", workflowId="workflow_1", stepId="x", approved=True)["code"] == "not_found"


def test_a_frame_over_a_megabyte_closes_with_1009(live: Live) -> None:
    with socket(live) as one:
        one.connection.send(json.dumps({"type": "ping", "x": "y" * 1024 * 1024}))
        assert one.close_code() == 1009


def test_what_is_not_utf_8_closes_with_1007(live: Live) -> None:
    with socket(live) as one:
        one.connection.send(b'{"type": "ping", "ref": "\xff"}', text=True)
        assert one.close_code() == 1007


def test_without_a_session_nothing_can_be_said(live: Live) -> None:
    with socket(live) as one:
        assert one.ask("message", content="x")["code"] == "bad_request"


def test_fifty_frames_a_minute_and_each_one_more_is_dropped_and_answered(
    live: Live, client: httpx.Client, session: str
) -> None:
    with socket(live, session) as one, socket(live, session) as other:
        one.subscribe("message.queued")
        for number in range(49):
            one.send("ping", ref=number)
        assert [one.next()["type"] for _ in range(49)] == ["pong"] * 49
        for number in range(20):
            one.send("message", content="dropped", ref=number)
        one.connection.send(b"\x00")
        answers = [one.next() for _ in range(21)]
        assert {(answer["type"], answer["code"]) for answer in answers} == {("error", "rate_limited")}
        assert [answer.get("ref") for answer in answers] == [*range(20), None]
        assert all(50_000 < answer["retryAfter"] <= 60_000 for answer in answers)
        # Another connection has its own, and this one still hears what happens.
        assert other.ask("message", content="heard")["type"] == "ack"
        assert one.of_type("event")["eventType"] == "message.queued"
        assert contents(client, session)[-1] == "heard"
        assert "dropped" not in contents(client, session)
