"""The WebSocket's protocol: who may come in, what may be said, and what is answered."""

import os
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from socket import SHUT_RDWR

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from sessions_app.sockets.endings import REASONS
from tests.live import Live, until

from .sockets import contents, new_session, new_token, opened, refused, socket

NEVER = ["task.cancelled"]


@pytest.fixture(scope="module")
def client(installed: Live) -> Iterator[httpx.Client]:
    """Of the first organization."""
    with installed.start().client() as client:
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


def test_a_header_says_so(live: Live, session: str) -> None:
    with socket(live, session) as one:
        assert one.subscribe("task.*")["events"] == ["task.*"]
    with socket(live, session, headers={"X-Org-ID": live.org}) as one:
        assert one.subscribe("task.*")["events"] == ["task.*"]


def test_a_pair_of_subprotocols_says_so(live: Live, session: str) -> None:
    one = opened(live, session, subprotocols=["taskmaster.v1", f"bearer.{live.token}"])
    assert one.connection.subprotocol == "taskmaster.v1"
    assert one.subscribe(*NEVER)["sequence"] > 0
    one.close()


def test_a_first_frame_says_so(live: Live, session: str) -> None:
    with socket(live, session, token="") as one:
        assert one.ask("auth", token=live.token, orgId=live.org) == {"type": "authenticated"}
        assert one.subscribe(*NEVER)["sequence"] > 0
        again = one.ask("auth", token=live.token)
        assert (again["type"], again["code"]) == ("error", "bad_request")
    with socket(live, token="") as one:
        assert one.ask("auth", token=live.token) == {"type": "authenticated"}


def test_the_bare_address_answers_ping_and_nothing_else(live: Live, session: str) -> None:
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
    live: Live, client: httpx.Client, session: str, how: str, wrong: str
) -> None:
    if how == "header":
        one = opened(live, session, additional_headers={"Authorization": f"Bearer {wrong}"})
    elif how == "subprotocol":
        one = opened(live, session, subprotocols=["taskmaster.v1", f"bearer.{wrong or '-'}"])
    else:
        one = opened(live, session)
        one.send("auth", token=wrong or None)
        with suppress(ConnectionClosed):
            one.send("message", content="never heard")
    assert (one.close_code(), one.unread) == (4401, [])
    assert "never heard" not in contents(client, session)


def test_a_token_of_another_organization_is_closed_with_4403(live: Live, session: str, stranger: httpx.Client) -> None:
    for org in ("org_nothing", stranger.headers["X-Org-ID"]):
        with socket(live, session, headers={"X-Org-ID": org}) as one:
            assert one.close_code() == 4403
        with socket(live, session, token="") as one:
            one.send("auth", token=live.token, orgId=org)
            assert one.close_code() == 4403


def test_a_session_that_is_not_there_or_foreign_is_closed_with_4404(live: Live, stranger: httpx.Client) -> None:
    foreign = new_session(stranger)
    for wrong in ("session_nothing", foreign, "x" * 300, "%00", "%F0%9F", "..%2f", "session_%E2%98%83"):
        with socket(live, wrong) as one:
            assert (one.close_code(), one.unread) == (4404, []), wrong
    with socket(live, foreign, token="") as one:
        assert one.ask("ping")["type"] == "pong"
        one.send("auth", token=live.token)
        assert (one.close_code(), one.unread) == (4404, [])


def test_whoever_is_closed_is_told_why(live: Live, stranger: httpx.Client) -> None:
    other = {"X-Org-ID": stranger.headers["X-Org-ID"]}
    for told, name, headers, token in (
        ("No valid token: ", None, {}, "tm_wrong"),
        ("The token is of another organization, ", None, other, live.token),
        ("There is no such session.", "session_nothing", {}, live.token),
    ):
        with socket(live, name, token, headers=headers) as one:
            assert one.ending()[1].startswith(told)


@pytest.mark.parametrize("reason", REASONS.values())
def test_a_reason_fits_into_a_frame(reason: str) -> None:
    assert len(reason.encode()) <= 123


def test_scopes_hold(live: Live, client: httpx.Client, session: str) -> None:
    with socket(live, session, token=new_token(client, "read")) as one:
        assert one.ask("message", content="x")["code"] == "missing_scope"
        assert one.ask("confirm", actionId="action_1", confirmed=True)["code"] == "missing_scope"
        assert one.subscribe(*NEVER)["type"] == "subscribed"
    with socket(live, session, token=new_token(client, "write")) as one:
        assert one.ask("subscribe", events=["*"])["code"] == "missing_scope"
        assert one.ask("message", content="x")["type"] == "ack"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost"])
def test_a_page_of_another_origin_is_refused_at_the_handshake(live: Live, origin: str) -> None:
    status, body = refused(live, origin=origin, subprotocols=["taskmaster.v1", f"bearer.{live.token}"])
    assert (status, body["success"], body["code"], body["data"]) == (403, False, "forbidden", None)
    assert "TASKMASTER_ALLOWED_ORIGINS" in body["error"]


def test_a_page_of_ours_is_let_in(live: Live) -> None:
    with socket(live, origin=live.root) as one:
        assert one.ask("ping")["type"] == "pong"


@pytest.mark.parametrize("path", ["/", "/ws/", "/websocket", "/api/v1/ws"])
def test_there_is_one_address(live: Live, path: str) -> None:
    status, body = refused(live, path)
    assert (status, body["code"]) == (404, "not_found")
    assert body["error"] == "There is no WebSocket at this path; it is at /ws."


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
        assert refused(live, origin="https://evil.example")[0] == 403

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(come_and_go, range(16)))
        before = held()
        list(pool.map(come_and_go, range(80)))
    until(lambda: held() <= before + 20, 10)
    until(lambda: client.get(f"/sessions/{session}").json()["session"]["webSocketCount"] == 0, 10)
