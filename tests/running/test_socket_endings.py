"""How sockets end: by whose will, with which code, and what their session shows of them meanwhile."""

import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from tests.live import SERVICES, Live, until

from .cast import Cast, at_once
from .sockets import Socket, new_session, opened, socket

MANY = 50


@dataclass(frozen=True)
class Slow:
    """What takes its time, and happens while the other tests run."""

    # The close code of a socket that never says who it is, and after how many seconds it came.
    loiterer: Future[tuple[int, float]]
    # After how many seconds a socket that does not read is gone once its token is revoked.
    deaf: Future[float]


@pytest.fixture(scope="module", autouse=True)
def slow(installed: Live) -> Iterator[Slow]:
    """Begun with the first test; they are over before the first process is killed."""
    installed.start()
    with ThreadPoolExecutor(2) as pool:
        yield Slow(pool.submit(_loiter, installed), pool.submit(_do_not_read, installed))


def _loiter(live: Live) -> tuple[int, float]:
    with socket(live, token="") as idle:
        began = time.monotonic()
        return idle.close_code(20), time.monotonic() - began


def _do_not_read(live: Live) -> float:
    with live.client() as client:
        session = new_session(client, live.echo_agent())
        token, secret = revocable_token(client)
        deaf = opened(live, session, max_queue=1, additional_headers={"Authorization": f"Bearer {secret}"})
        deaf.subscribe("*", since=0)
        assert shown(client, session) == (1, ["*"])
        client.delete(f"/tokens/{token}").raise_for_status()
        began = time.monotonic()
        until(lambda: shown(client, session) == (0, []), 15)
        deaf.close()
        return time.monotonic() - began


def shown(client: httpx.Client, session: str) -> tuple[int, list[str]]:
    """(webSocketCount, eventSubscriptions) of a session."""
    found = client.get(f"/sessions/{session}").raise_for_status().json()["session"]
    return found["webSocketCount"], found["eventSubscriptions"]


def revocable_token(client: httpx.Client) -> tuple[str, str]:
    """Its id and its secret."""
    made = client.post("/tokens", json={"name": "test", "scopes": ["read", "write"]})
    token = made.raise_for_status().json()["token"]
    return token["id"], token["secret"]


@contextmanager
def crowd(live: Live, token: str, session: str, count: int) -> Iterator[list[Socket]]:
    """Sockets that hear everything."""
    with ExitStack() as stack:
        found = [stack.enter_context(socket(live, session, token)) for _ in range(count)]
        for one in found:
            one.subscribe("*")
        yield found


@contextmanager
def writing(cast: Cast) -> Iterator[Callable[[], int]]:
    """Something happens all the time; how much has."""
    ending, counted = threading.Event(), [0]
    agent = cast.live.echo_agent()

    def write() -> None:
        with httpx.Client(base_url=cast.live.base, headers=cast.client.headers, timeout=60) as client:
            while not ending.is_set():
                client.post(f"/agents/{agent}/tasks", json={"type": "t", "description": "x"}).raise_for_status()
                counted[0] += 1

    (writer,) = at_once(write)
    try:
        yield lambda: counted[0]
    finally:
        ending.set()
        writer.result(30)


def check_closed(sockets: list[Socket], code: int, began: float) -> None:
    """All are closed with that code within five seconds, and hear nothing of what happens after that."""

    def ends(one: Socket) -> tuple[int, float, list[int]]:
        return one.close_code(10), time.monotonic() - began, [frame["sequence"] for frame in one.unread]

    with ThreadPoolExecutor(len(sockets)) as pool:
        ended = list(pool.map(ends, sockets))
    assert {found for found, _, _ in ended} == {code}
    assert max(seconds for _, seconds, _ in ended) < 5
    for _, _, heard in ended:
        assert heard == list(range(heard[0], heard[0] + len(heard))) if heard else True


def test_revoking_a_token_closes_all_its_sockets_and_nothing_is_told_after(cast: Cast) -> None:
    session = cast.session(cast.live.echo_agent())
    token_id, token = revocable_token(cast.client)
    with socket(cast.live) as stays, crowd(cast.live, token, session, MANY) as sockets, writing(cast) as written:
        stays.subscribe("task.queued")
        until(lambda: written() > 5)
        cast.client.delete(f"/tokens/{token_id}").raise_for_status()
        began = time.monotonic()
        check_closed(sockets, 4401, began)
        before = written()
        until(lambda: written() > before + 20)
        assert len(stays.events(before)) == before
    with socket(cast.live, session, token) as late:
        assert late.close_code() == 4401


def test_whoever_may_not_stay_is_closed_and_nobody_else(cast: Cast) -> None:
    """A suspended organization, a deleted session, a token that runs out."""
    live, agent = cast.live, cast.live.echo_agent()
    session, deleted = cast.session(agent), cast.session(agent)
    expiring, expiring_token = revocable_token(cast.client)
    with ExitStack() as stack:
        guest = stack.enter_context(live.guest("suspended-sockets"))
        org, suspended_token = guest.headers["X-Org-ID"], guest.headers["Authorization"].removeprefix("Bearer ")
        theirs = guest.post("/sessions", json={"agentType": "custom", "configuration": {}}).json()["session"]["id"]
        of_suspended = stack.enter_context(crowd(live, suspended_token, theirs, 3))
        of_deleted = stack.enter_context(crowd(live, live.token, deleted, 3))
        of_expired = stack.enter_context(crowd(live, expiring_token, session, 3))
        stays = stack.enter_context(socket(live, session))

        live.sql(f"UPDATE orgs_organization SET suspended_at = CURRENT_TIMESTAMP WHERE id = '{org}'")
        cast.client.delete(f"/sessions/{deleted}").raise_for_status()
        live.sql(f"UPDATE orgs_apitoken SET expires_at = CURRENT_TIMESTAMP WHERE id = '{expiring}'")
        began = time.monotonic()
        for sockets, code in ((of_suspended, 4403), (of_deleted, 1000), (of_expired, 4401)):
            check_closed(sockets, code, began)
        assert stays.ask("ping")["type"] == "pong"
    for late, token, code in ((theirs, suspended_token, 4403), (deleted, live.token, 4404), (session, "tm_x", 4401)):
        with socket(live, late, token) as one:
            assert one.close_code() == code


def test_a_session_shows_its_sockets(cast: Cast) -> None:
    agent = cast.live.echo_agent()
    session, other = cast.session(agent), cast.session(agent)
    with ExitStack() as stack:
        # On whichever process they come to.
        sockets = [stack.enter_context(socket(cast.live, session)) for _ in range(8)]
        nobody = stack.enter_context(socket(cast.live, session, token=""))
        stack.enter_context(socket(cast.live, other)).subscribe("session.created")
        assert shown(cast.client, session) == (8, [])
        for number, one in enumerate(sockets):
            one.subscribe(["task.completed", "workflow.started", "agent.status", "task.completed"][number % 4])
        assert shown(cast.client, session) == (8, ["agent.status", "task.completed", "workflow.started"])
        assert sockets[0].ask("subscribe", events=["task.nothing"])["type"] == "error"
        for one in sockets[2::4]:
            one.ask("unsubscribe", events=["agent.*"])
        assert shown(cast.client, session) == (8, ["task.completed", "workflow.started"])
        assert nobody.ask("auth", token=cast.live.token)["type"] == "authenticated"
        assert shown(cast.client, session)[0] == 9
        listed = {one["id"]: one["webSocketCount"] for one in cast.client.get("/sessions").json()["sessions"]}
        assert (listed[session], listed[other]) == (9, 1)
        until(lambda: cast.waiting() >= 10, 10)
    until(lambda: shown(cast.client, session) == (0, []), 5)
    until(lambda: cast.waiting() <= 1, 10)


def test_whoever_does_not_say_who_it_is_is_closed_with_4401_after_ten_seconds(slow: Slow) -> None:
    code, seconds = slow.loiterer.result(30)
    assert code == 4401
    assert 9.5 < seconds < 12


def test_one_that_does_not_hear_that_it_is_over_is_cut_off(slow: Slow) -> None:
    assert slow.deaf.result(30) < 12


def test_sockets_of_a_process_that_was_killed_are_not_shown(cast: Cast) -> None:
    live, session = cast.live, cast.session(cast.live.echo_agent())
    with crowd(live, live.token, session, 12) as sockets:
        assert shown(cast.client, session) == (12, ["*"])
        pid = live.pid("web0")
        live.kill("web0")
        left = sum(not _is_cut(one) for one in sockets)
        live.start()
        assert left < 12
        # As if ten seconds had gone by since it last told of itself.
        earlier = "beat_at - interval '9 seconds'" if SERVICES else "datetime(beat_at, '-9 seconds')"
        live.sql(f"UPDATE sessions_app_liveserver SET beat_at = {earlier} WHERE pid = {pid}")
        until(lambda: shown(cast.client, session) == (left, ["*"] if left else []), 5)


@pytest.mark.skipif(SERVICES, reason="other processes may be alive")
def test_embedded_nothing_of_a_process_that_was_killed_is_counted_after_the_start(cast: Cast) -> None:
    live, session = cast.live, cast.session(cast.live.echo_agent())
    with crowd(live, live.token, session, 3):
        assert shown(cast.client, session) == (3, ["*"])
        live.kill("web0")
        live.start()
        assert shown(cast.client, session) == (0, [])
        status = cast.client.get("/system/status").json()["status"]
        assert status["orchestrator"]["systemWatcher"]["processCount"] == 1


def _is_cut(one: Socket) -> bool:
    try:
        return one.ask("ping")["type"] != "pong"
    except ConnectionClosed:
        return True


def test_the_end_of_the_server_closes_sockets_with_1012_and_nothing_is_lost(cast: Cast) -> None:
    live, session = cast.live, cast.session(cast.live.echo_agent())
    said = {name: len(said_by(live, name)) for name in live.names("web")}
    with crowd(live, live.token, session, 20) as sockets:
        made = [cast.session(cast.live.echo_agent()) for _ in range(2)]
        heard = [one.events(random.Random(number).randrange(1, 4)) for number, one in enumerate(sockets)]
        pids = ", ".join(str(live.pid(name)) for name in live.names("web"))
        for name in live.names("web"):
            live.processes[name].send_signal(signal.SIGTERM)
        began = time.monotonic()
        with ThreadPoolExecutor(20) as pool:
            codes = list(pool.map(lambda one: one.close_code(20), sockets))
        assert codes == [1012] * 20
        assert {live.processes[name].wait(20) for name in live.names("web")} == {0}
        assert time.monotonic() - began < 10
        for frames, one in zip(heard, sockets, strict=True):
            frames += [frame for frame in one.unread if frame["type"] == "event"]
    assert live.sql(f"SELECT count(*) FROM sessions_app_liveserver WHERE pid IN ({pids})") == [(0,)]
    live.start()
    assert shown(cast.client, session) == (0, [])
    missed = cast.session(cast.live.echo_agent())
    assert not any("Traceback" in said_by(live, name)[before:] for name, before in said.items())
    for frames in heard:
        with socket(live, session) as one:
            one.subscribe("*", since=frames[-1]["sequence"])
            while frames[-1]["data"].get("sessionId") != missed:
                frames.append(one.of_type("event"))
    first = heard[0]
    assert {frame["data"]["sessionId"] for frame in first if frame["eventType"] == "session.created"} >= {*made, missed}
    for frames in heard:
        assert [frame["sequence"] for frame in frames] == list(
            range(frames[0]["sequence"], frames[0]["sequence"] + len(frames))
        )


def said_by(live: Live, name: str) -> str:
    """All that this process has complained of, in this test and before it."""
    return (live.logs / f"{name}.log").read_text()


@pytest.mark.soak
def test_sockets_of_a_process_that_was_killed_are_gone_after_ten_seconds(cast: Cast) -> None:
    live, session = cast.live, cast.session(cast.live.echo_agent())
    with crowd(live, live.token, session, 8):
        live.kill_all(*(live.names("web")))
        killed = time.monotonic()
        live.start()
        until(lambda: shown(cast.client, session) == (0, []), 15)
        assert time.monotonic() - killed < 13
