"""The WebSocket's protocol: who may come in, what may be said, and what is answered."""

import json
import os
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from socket import SHUT_RDWR
from typing import Any

import httpx
import pytest

from tests.live import Live, until

from .sockets import Socket, opened, refused, socket

NEVER = ["task.cancelled"]


@pytest.fixture(scope="module")
def loiterer(installed: Live) -> Iterator[Any]:
    """A socket that never says who it is: its close code, and after how many seconds it came."""
    installed.start()

    def loiter() -> tuple[int, float]:
        with socket(installed, token="") as idle:
            began = time.monotonic()
            return idle.close_code(20), time.monotonic() - began

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(loiter)


@pytest.fixture(scope="module")
def client(installed: Live, loiterer: Any) -> Iterator[httpx.Client]:
    """Of the first organization."""
    with installed.client() as client:
        yield client


@pytest.fixture(scope="module")
def stranger(installed: Live) -> Iterator[httpx.Client]:
    """Of another one."""
    with installed.start().guest("elsewhere") as client:
        yield client


@pytest.fixture(scope="module")
def session(installed: Live, client: httpx.Client) -> str:
    """A session with an echo agent."""
    return new_session(client, installed.echo_agent())


def new_session(client: httpx.Client, agent: str | None = None) -> str:
    """Its id."""
    body = {"agentType": "custom", "configuration": {}} | ({"agentId": agent} if agent else {})
    return str(client.post("/sessions", json=body).raise_for_status().json()["session"]["id"])


def new_token(client: httpx.Client, *scopes: str) -> str:
    """Its secret."""
    answer = client.post("/tokens", json={"name": "test", "scopes": list(scopes)})
    return str(answer.raise_for_status().json()["token"]["secret"])


def contents(client: httpx.Client, session: str) -> list[str]:
    """What was said in a session."""
    answer = client.get(f"/sessions/{session}/messages").raise_for_status()
    return [message["content"] for message in answer.json()["messages"]]


class TestWhoItIs:
    def test_a_header_says_so(self, live: Live, session: str) -> None:
        with socket(live, session) as one:
            assert one.subscribe("task.*")["events"] == ["task.*"]
        with socket(live, session, headers={"X-Org-ID": live.org}) as one:
            assert one.subscribe("task.*")["events"] == ["task.*"]

    def test_a_pair_of_subprotocols_says_so(self, live: Live, session: str) -> None:
        one = opened(live, session, subprotocols=["taskmaster.v1", f"bearer.{live.token}"])
        assert one.connection.subprotocol == "taskmaster.v1"
        assert one.subscribe(*NEVER)["sequence"] > 0
        one.close()

    def test_a_first_frame_says_so(self, live: Live, session: str) -> None:
        with socket(live, session, token="") as one:
            assert one.ask("auth", token=live.token, orgId=live.org) == {"type": "authenticated"}
            assert one.subscribe(*NEVER)["sequence"] > 0
            again = one.ask("auth", token=live.token)
            assert (again["type"], again["code"]) == ("error", "bad_request")
        with socket(live, token="") as one:
            assert one.ask("auth", token=live.token) == {"type": "authenticated"}

    def test_the_bare_address_answers_ping_and_nothing_else(self, live: Live, session: str) -> None:
        with socket(live, session, token="") as one:
            before = time.time() * 1000
            pong = one.ask("ping")
            assert (pong["type"], before - 1 <= pong["timestamp"] <= time.time() * 1000 + 1) == ("pong", True)
            for kind, members in (
                ("message", {"content": "x"}),
                ("subscribe", {"events": ["*"]}),
                ("unsubscribe", {}),
                ("confirm", {"actionId": "action_1", "confirmed": True}),
                ("signal", {"workflowId": "workflow_1", "stepId": "x", "approved": True}),
            ):
                answer = one.ask(kind, **members)
                assert (answer["type"], answer["code"]) == ("error", "unauthenticated"), kind
            assert one.is_silent()

    @pytest.mark.parametrize("how", ["header", "subprotocol", "frame"])
    @pytest.mark.parametrize("wrong", ["tm_wrong", "x", ""])
    def test_a_wrong_token_is_closed_with_4401(
        self, live: Live, client: httpx.Client, session: str, how: str, wrong: str
    ) -> None:
        if how == "header":
            one = opened(live, session, additional_headers={"Authorization": f"Bearer {wrong}"})
        elif how == "subprotocol":
            one = opened(live, session, subprotocols=["taskmaster.v1", f"bearer.{wrong or '-'}"])
        else:
            one = opened(live, session)
            one.send("auth", token=wrong or None)
            one.send("message", content="never heard")
        assert (one.close_code(), one.unread) == (4401, [])
        assert "never heard" not in contents(client, session)

    def test_a_token_of_another_organization_is_closed_with_4403(
        self, live: Live, session: str, stranger: httpx.Client
    ) -> None:
        for org in ("org_nothing", stranger.headers["X-Org-ID"]):
            with socket(live, session, headers={"X-Org-ID": org}) as one:
                assert one.close_code() == 4403
            with socket(live, session, token="") as one:
                one.send("auth", token=live.token, orgId=org)
                assert one.close_code() == 4403

    def test_a_session_that_is_not_there_or_foreign_is_closed_with_4404(
        self, live: Live, stranger: httpx.Client
    ) -> None:
        foreign = new_session(stranger)
        for wrong in ("session_nothing", foreign, "x" * 300, "%00", "%F0%9F", "..%2f", "session_%E2%98%83"):
            with socket(live, wrong) as one:
                assert (one.close_code(), one.unread) == (4404, []), wrong
        with socket(live, foreign, token="") as one:
            assert one.ask("ping")["type"] == "pong"
            one.send("auth", token=live.token)
            assert (one.close_code(), one.unread) == (4404, [])

    def test_scopes_hold(self, live: Live, client: httpx.Client, session: str) -> None:
        with socket(live, session, token=new_token(client, "read")) as one:
            assert one.ask("message", content="x")["code"] == "missing_scope"
            assert one.ask("confirm", actionId="action_1", confirmed=True)["code"] == "missing_scope"
            assert one.subscribe(*NEVER)["type"] == "subscribed"
        with socket(live, session, token=new_token(client, "write")) as one:
            assert one.ask("subscribe", events=["*"])["code"] == "missing_scope"
            assert one.ask("message", content="x")["type"] == "ack"

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost"])
    def test_a_page_of_another_origin_is_refused_at_the_handshake(self, live: Live, origin: str) -> None:
        status, body = refused(live, origin=origin, subprotocols=["taskmaster.v1", f"bearer.{live.token}"])
        assert (status, body["success"], body["code"], body["data"]) == (403, False, "forbidden", None)

    def test_a_page_of_ours_is_let_in(self, live: Live) -> None:
        with socket(live, origin=live.root) as one:
            assert one.ask("ping")["type"] == "pong"

    @pytest.mark.parametrize("path", ["/", "/ws/", "/websocket", "/api/v1/ws"])
    def test_there_is_one_address(self, live: Live, path: str) -> None:
        assert refused(live, path)[0] == 403

    def test_whoever_does_not_say_so_is_closed_with_4401_after_ten_seconds(self, live: Live, loiterer: Any) -> None:
        code, seconds = loiterer.result(30)
        assert code == 4401
        assert 9.5 < seconds < 12


class TestFrames:
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
    def test_nonsense_is_answered_and_the_socket_lives(self, talker: Socket, sent: str | bytes, code: str) -> None:
        talker.connection.send(sent)
        answer = talker.next()
        assert (answer["type"], answer["code"], type(answer["error"])) == ("error", code, str)
        assert "ref" not in answer
        assert talker.ask("ping")["type"] == "pong"

    @pytest.mark.parametrize("ref", ["a", "", 7, 0, 1.5, True, {"a": [1]}])
    def test_a_ref_is_echoed_in_answers_and_errors(self, talker: Socket, ref: Any) -> None:
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
            ("subscribe", {"events": ["*"], "filter": {"sessionId": 7}}, "filter"),
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
        self, talker: Socket, kind: str, members: dict[str, Any], field: str
    ) -> None:
        answer = talker.ask(kind, **members)
        assert (answer["type"], answer["code"]) == ("error", "validation_failed")
        assert [detail["field"] for detail in answer["details"]] == [field]
        assert talker.ask("unsubscribe", events=NEVER)["subscriptions"] == []

    def test_a_confirm_of_nothing_and_a_signal_to_nothing_are_not_found(self, talker: Socket) -> None:
        assert talker.ask("confirm", actionId="action_1", confirmed=True)["code"] == "not_found"
        assert talker.ask("signal", workflowId="workflow_1", stepId="x", approved=True)["code"] == "not_found"

    def test_a_frame_over_a_megabyte_closes_with_1009(self, live: Live) -> None:
        with socket(live) as one:
            one.connection.send(json.dumps({"type": "ping", "x": "y" * 1024 * 1024}))
            assert one.close_code() == 1009

    def test_what_is_not_utf_8_closes_with_1007(self, live: Live) -> None:
        with socket(live) as one:
            one.connection.send(b'{"type": "ping", "ref": "\xff"}', text=True)
            assert one.close_code() == 1007

    def test_without_a_session_nothing_can_be_said(self, live: Live) -> None:
        with socket(live) as one:
            assert one.ask("message", content="x")["code"] == "bad_request"


@pytest.fixture
def talker(live: Live, session: str) -> Iterator[Socket]:
    """A socket of a session."""
    with socket(live, session) as one:
        yield one


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


def test_a_crowd_that_says_who_it_is_at_once_is_let_in(live: Live, session: str) -> None:
    def come(number: int) -> int:
        with socket(live, session, token="" if number % 2 else None) as one:
            if number % 2:
                assert one.ask("auth", token=live.token)["type"] == "authenticated"
            return int(one.subscribe(*NEVER)["sequence"])

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(come, range(64)))


def test_nothing_of_a_socket_is_left_behind(live: Live, client: httpx.Client, session: str) -> None:
    """No descriptor, no thread, no row; those that were torn down are noticed too."""

    def held() -> int:
        pids = [live.pid(name) for name in live.names("web")]
        return sum(len(os.listdir(f"/proc/{pid}/{what}")) for pid in pids for what in ("fd", "task"))

    def come_and_go(number: int) -> None:
        with socket(live, session) as one:
            one.subscribe("*")
            one.ask("message", content=uuid.uuid4().hex)
            if number % 3:
                one.connection.socket.shutdown(SHUT_RDWR)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(come_and_go, range(16)))
        before = held()
        list(pool.map(come_and_go, range(80)))
    until(lambda: held() <= before + 20, 10)
    until(lambda: client.get(f"/sessions/{session}").json()["session"]["webSocketCount"] == 0, 10)
