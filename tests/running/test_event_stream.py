"""Server-sent events: every event once and in order, however often a client comes back, and whatever happens to it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.live import Live, until

from .cast import Cast, at_once
from .listener import Heard, Listener, write_many
from .test_waiting import database_connections, fill_the_pools, held, threads

MANY = 300


@pytest.fixture(scope="module")
def guests(installed: Live) -> Iterator[httpx.Client]:
    """A client of an organization in which nothing happens but what these tests do."""
    with guest(installed.start(), "listeners") as client:
        yield client


@contextmanager
def guest(live: Live, slug: str) -> Iterator[httpx.Client]:
    """A client of a new organization, once its first agents have been told of."""
    with live.guest(slug) as client:
        settle(client)
        yield client


def settle(client: httpx.Client) -> None:
    """Wait until everything that has happened is numbered."""
    until(lambda: "\ntaskmaster_events_unnumbered 0.0" in client.get("/metrics").text, 10)


@contextmanager
def listening(live: Live, client: httpx.Client, **query: Any) -> Iterator[Listener]:
    """A stream that has begun."""
    listener = Listener(live, client, **query)
    try:
        yield listener.begin()
    finally:
        listener.close()


def session(client: httpx.Client, agent_type: str = "custom") -> str:
    """A new session's id: one event."""
    made = client.post("/sessions", json={"agentType": agent_type, "configuration": {}}).raise_for_status()
    return str(made.json()["session"]["id"])


def subjects(heard: list[Heard]) -> list[tuple[str, str]]:
    """What happened, and to which session."""
    return [(kind, event["data"]["sessionId"]) for _, kind, event in heard]


def log_after(client: httpx.Client, after: int) -> list[Heard]:
    """What the log says, as a stream would tell it."""
    found: list[Heard] = []
    query: dict[str, Any] = {"after": after, "limit": 100}
    while query:
        page = client.get("/events", params=query).raise_for_status().json()
        found += [(event["sequence"], event["eventType"], event) for event in page["events"]]
        cursor = page["pagination"]["nextCursor"]
        query = {"after": after, "limit": 100, "cursor": cursor} if cursor else {}
    return found


def test_every_event_comes_once_and_in_order_however_often_the_client_comes_back(
    live: Live, guests: httpx.Client
) -> None:
    listener = Listener(live, guests).begin()
    after, heard, opened = int(listener.last_id or ""), [], 1
    listener.close()

    def write() -> None:
        for _ in range(100):
            session(guests)

    writers = at_once(*[write] * 4)
    while len(heard) < 400:
        assert listener.open() == 200
        opened += 1
        # It goes away in the middle of what it is being told.
        heard += listener.next(min(36, 400 - len(heard)))
    listener.close()
    for writer in writers:
        writer.result()
    assert opened > 10
    assert [sequence for sequence, _, _ in heard] == list(range(after + 1, after + 401))
    assert heard == log_after(guests, after)


def test_a_stream_is_narrowed_by_types_and_things(live: Live, guests: httpx.Client) -> None:
    with listening(live, guests) as everything:
        after = everything.last_id
        one, other = session(guests), session(guests)
        for each in (other, one):
            guests.delete(f"/sessions/{each}").raise_for_status()
        told = subjects(everything.next(4))
    assert set(told) == {(f"session.{verb}", each) for each in (one, other) for verb in ("created", "deleted")}
    for query, wanted in (
        ({"types": "session.deleted"}, [each for each in told if each[0] == "session.deleted"]),
        ({"sessionId": one}, [each for each in told if each[1] == one]),
        ({"types": "task.*,session.created", "sessionId": other}, [("session.created", other)]),
    ):
        with listening(live, guests, after=after, **query) as narrow:
            assert subjects(narrow.next(len(wanted))) == wanted


def test_a_stream_is_of_one_organization(live: Live, guests: httpx.Client) -> None:
    with live.client() as client, listening(live, client) as ours, listening(live, guests) as theirs:
        mine, foreign = session(client), session(guests)
        assert subjects(ours.next(1)) == [("session.created", mine)]
        assert subjects(theirs.next(1)) == [("session.created", foreign)]


def test_a_client_that_reads_slowly_misses_nothing_and_holds_nobody_up(live: Live, guests: httpx.Client) -> None:
    count, size = 2500, 4000  # More than the kernel takes for a client that does not read.
    slow = Listener(live, guests)
    assert slow.open(reads=4096) == 200
    with listening(live, guests) as fast:
        after = int(fast.last_id or "")
        write_many(live, guests.headers["X-Org-ID"], count, size)
        assert [sequence for sequence, _, _ in fast.next(count)] == list(range(after + 1, after + count + 1))
        # What comes while it is behind comes to the others at once.
        session(guests)
        assert fast.next(1)[0][0] == after + count + 1
    heard = slow.next(count + 1)
    slow.close()
    assert [sequence for sequence, _, _ in heard] == list(range(after + 1, after + count + 2))
    assert {len(event["data"]["filler"]) for _, _, event in heard[:-1]} == {size}


def test_a_revoked_token_ends_its_streams_and_no_others(cast: Cast) -> None:
    made = cast.client.post("/tokens", json={"name": "listener", "scopes": ["read"]}).raise_for_status().json()
    headers = {"Authorization": f"Bearer {made['token']['secret']}", "X-Org-ID": cast.live.org}
    with (
        httpx.Client(headers=headers) as client,
        listening(cast.live, client) as one,
        listening(cast.live, client) as another,
        listening(cast.live, cast.client) as stays,
    ):
        cast.client.delete(f"/tokens/{made['token']['id']}").raise_for_status()
        began = time.monotonic()
        assert [list(one.events()), list(another.events())] == [[], []]
        assert time.monotonic() - began < 5
        assert one.open() == 401
        created = session(cast.client)
        assert subjects(stays.next(1)) == [("session.created", created)]


def test_a_suspended_organization_ends_its_streams(cast: Cast) -> None:
    with guest(cast.live, "suspended") as client, listening(cast.live, client) as listener:
        org = client.headers["X-Org-ID"]
        cast.live.sql(f"UPDATE orgs_organization SET suspended_at = CURRENT_TIMESTAMP WHERE id = '{org}'")
        began = time.monotonic()
        assert list(listener.events()) == []
        assert time.monotonic() - began < 5
        assert listener.open() == 403


def test_three_hundred_idle_streams_hold_no_thread_and_no_connection(cast: Cast) -> None:
    fill_the_pools(cast)
    with listening(cast.live, cast.client):
        threads_before, connections_before = threads(cast.live), database_connections(cast.live)
        streams = [Listener(cast.live, cast.client).begin() for _ in range(MANY)]
        until(lambda: cast.waiting() >= MANY, 10)
        assert all(held(cast.live)), "one process holds all"
        assert threads(cast.live) < threads_before + MANY // 20
        assert database_connections(cast.live) < connections_before + MANY // 20
        created = session(cast.client)
        for stream in streams:
            assert subjects(stream.next(1)) == [("session.created", created)]
        for stream in streams:
            stream.close()
    until(lambda: cast.waiting() <= 1, 8)


def test_the_end_of_the_server_ends_streams_whole_and_nothing_is_lost(cast: Cast) -> None:
    """Not even for one that had not been told of anything yet; and one that does not read puts nothing off."""
    live = cast.live
    with guest(live, "returning") as client:
        write_many(live, client.headers["X-Org-ID"], 2500, 4000)
        settle(client)
        stuck = Listener(live, client, after=0)
        assert stuck.open(reads=4096) == 200
        told, idle = Listener(live, client).begin(), Listener(live, client)
        read = session(client)
        assert subjects(told.next(1)) == [("session.created", read)]
        idle.begin()

        for name in live.names("web"):
            live.processes[name].terminate()
        began = time.monotonic()
        assert [list(told.events()), list(idle.events())] == [[], []]
        assert {live.processes[name].wait(20) for name in live.names("web")} == {0}
        assert time.monotonic() - began < 15
        stuck.close()
        live.start()
        missed = [session(client) for _ in range(3)]
        for listener in (told, idle):
            assert listener.open() == 200
            assert subjects(listener.next(3)) == [("session.created", each) for each in missed]
            listener.close()
