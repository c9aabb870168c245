"""Events over sockets: each once and in order, whoever is slow, goes away, or comes back elsewhere."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from socket import SHUT_RDWR
from typing import Any

import httpx
import pytest

from tests.live import Live, until

from .cast import Cast, at_once
from .listener import write_many
from .sockets import Frame, opened, socket
from .subscribers import Company, follow_writers, memory


@pytest.fixture(scope="module")
def company(installed: Live) -> Iterator[Company]:
    """Of this module."""
    with installed.start().guest("subscribers") as client:
        company = Company(installed, client)
        company.newest()  # Its first events are numbered.
        yield company


@pytest.fixture(autouse=True)
def _running(live: Live) -> None:
    """Whatever the test before has done."""


def brief(frames: list[Frame]) -> list[tuple[str, Any]]:
    """What happened, and to what."""
    return [(frame["eventType"], frame["data"].get("taskId") or frame["data"]["sessionId"]) for frame in frames]


def sequences(frames: list[Frame]) -> list[int]:
    """In the order in which they came."""
    return [frame["sequence"] for frame in frames]


def test_an_event_is_told_at_once_and_as_rest_tells_it(company: Company) -> None:
    with company.socket() as one:
        after = one.subscribe("*")["sequence"]
        began = time.monotonic()
        session = company.session()
        (frame,) = one.events(1)
        assert time.monotonic() - began < 3
        (event,) = company.log(after)
        assert (frame["eventType"], frame["data"]) == ("session.created", event["data"])
        assert (frame["id"], frame["sequence"], frame["type"]) == (event["id"], event["sequence"], "event")
        assert frame["data"]["sessionId"] == session
        assert abs(frame["timestamp"] - time.time() * 1000) < 10_000
        assert type(frame["timestamp"]) is int


def test_several_subscriptions_tell_each_event_once(company: Company) -> None:
    with company.socket() as one, company.socket() as other:
        first = one.subscribe("session.deleted")
        assert one.subscribe("session.*", "session.deleted")["events"] == ["session.*", "session.deleted"]
        both = one.subscribe("task.*", filter={"taskId": "task_nothing"})
        assert both["subscriptions"] == ["session.deleted", "session.*", "task.*"]
        assert both["sequence"] >= first["sequence"]
        other.subscribe("session.deleted")
        session = company.session()
        company.client.delete(f"/sessions/{session}").raise_for_status()
        assert brief(one.events(2)) == [("session.created", session), ("session.deleted", session)]
        assert brief(other.events(1)) == [("session.deleted", session)]
        assert one.is_silent()
        assert other.is_silent()


def test_filters_narrow_to_a_session_or_a_task(company: Company) -> None:
    agent = company.echo()
    with company.socket() as of_session, company.socket() as of_task:
        after = of_session.subscribe("task.cancelled")["sequence"]
        session, task = company.session(), ""
        for content in ("a", "b"):
            answer = company.client.post(f"/agents/{agent}/tasks", json={"type": "t", "description": content})
            task = answer.raise_for_status().json()["taskId"]
        company.client.delete(f"/sessions/{session}").raise_for_status()
        assert of_session.subscribe("*", filter={"sessionId": session}, since=after)["sequence"] == after
        of_task.subscribe("task.*", filter={"taskId": task}, since=after)
        assert brief(of_session.events(2)) == [("session.created", session), ("session.deleted", session)]
        told = [(name, task) for name in ("task.queued", "task.started", "task.completed")]
        assert brief(of_task.events(3)) == told
        assert of_session.is_silent()


def test_unsubscribing_ends_it_and_what_is_left_goes_on(company: Company) -> None:
    with company.socket() as one:
        assert one.ask("unsubscribe") == {"type": "unsubscribed", "events": ["*"], "subscriptions": []}
        one.subscribe("session.*")
        left = one.ask("unsubscribe", events=["session.created"])
        assert left == {
            "type": "unsubscribed",
            "events": ["session.created"],
            "subscriptions": ["session.deleted", "session.expired"],
        }
        session = company.session()
        company.client.delete(f"/sessions/{session}").raise_for_status()
        assert brief(one.events(1)) == [("session.deleted", session)]
        assert one.ask("unsubscribe")["subscriptions"] == []
        company.session()
        assert one.is_silent()
        # Nothing of what happened meanwhile, unless it is asked for.
        one.subscribe("session.created")
        again = company.session()
        assert brief(one.events(1)) == [("session.created", again)]


def test_since_tells_what_came_before_then_what_comes(company: Company) -> None:
    with company.socket() as one:
        after = one.subscribe("session.created")["sequence"]
        before = [company.session() for _ in range(3)]
        assert brief(one.events(3)) == [("session.created", session) for session in before]
        # Again, because it asks for it; each once.
        one.subscribe("session.*", since=after + 1)
        now = company.session()
        told = one.events(3)
        assert sequences(told) == [after + 2, after + 3, after + 4]
        assert brief(told)[-1] == ("session.created", now)
        assert one.is_silent()


def test_events_of_others_are_never_told(company: Company, cast: Cast) -> None:
    with company.socket() as ours, socket(company.live) as theirs:
        ours.subscribe("*")
        theirs.subscribe("session.created")
        session = company.session()
        foreign = cast.session(company.live.echo_agent())
        assert brief(theirs.events(1)) == [("session.created", foreign)]
        assert brief(ours.events(1)) == [("session.created", session)]
        assert ours.is_silent()


def test_a_crowd_is_told_the_same(company: Company) -> None:
    crowd = [opened(company.live, additional_headers=company.identity) for _ in range(40)]
    for one in crowd:
        one.subscribe("*")
    made = [company.session() for _ in range(5)]
    told = [one.events(5) for one in crowd]
    assert [brief(frames) for frames in told] == [[("session.created", session) for session in made]] * 40
    assert len({str(frames) for frames in told}) == 1
    for one in crowd:
        one.close()


def test_eight_write_and_whoever_comes_back_twenty_times_hears_every_event_once_and_in_order(company: Company) -> None:
    follow_writers(company, tasks=336, wanderers=2)


def test_one_that_does_not_read_costs_nothing_and_misses_nothing(company: Company) -> None:
    count, size = 2500, 4000
    after = company.newest()
    slow = [company.slow_socket() for _ in range(10)]
    with company.socket() as fast:
        for one in (*slow, fast):
            one.subscribe("*")
        write_many(company.live, company.org, count, size)
        fast.events(count)
        before = memory(company.live)
        write_many(company.live, company.org, count, size)
        told = sequences(fast.events(count))
        assert told == list(range(after + count + 1, after + 2 * count + 1))
        # What comes while the others are behind comes to this one at once.
        company.session()
        assert fast.events(1)[0]["eventType"] == "session.created"
        # Ten megabytes more wait for each of them: in the log.
        assert memory(company.live) - before < 6_000
    expected = list(range(after + 1, after + 2 * count + 2))
    with ThreadPoolExecutor(3) as pool:
        heard = list(pool.map(lambda one: sequences(one.events(2 * count + 1, 60)), slow[:3]))
    assert heard == [expected] * 3
    assert all(one.unread == [] for one in slow)
    for one in slow:
        one.connection.socket.shutdown(SHUT_RDWR)
        one.close()


def test_large_events_are_told_whole(company: Company) -> None:
    with company.socket() as one:
        after = one.subscribe("*")["sequence"]
        write_many(company.live, company.org, 5, 900_000)
        write_many(company.live, company.org, 2, 70_000)
        told = one.events(7)
    assert sequences(told) == list(range(after + 1, after + 8))
    assert [len(frame["data"]["filler"]) for frame in told] == [900_000] * 5 + [70_000] * 2


def test_an_event_of_which_no_signal_tells_comes_within_seconds(company: Company) -> None:
    """Numbered past the relay, so that nobody is told that it is there."""
    with company.socket() as one:
        after = one.subscribe("*")["sequence"]
        time.sleep(0.1)
        company.live.sql(
            "INSERT INTO events_event (id, org_id, event_type, data, created_at, sequence) VALUES "
            f"('evt_unheard{after}', '{company.org}', 'session.expired', '{{}}', CURRENT_TIMESTAMP, {after + 1})"
        )
        began = time.monotonic()
        company.live.sql(f"UPDATE events_eventcursor SET last_sequence = {after + 1} WHERE org_id = '{company.org}'")
        assert sequences(one.events(1)) == [after + 1]
        assert time.monotonic() - began < 4


def test_a_gap_says_that_events_are_gone(company: Company) -> None:
    after = company.newest()
    write_many(company.live, company.org, 30, 10)
    until(lambda: company.newest() == after + 30)
    company.live.sql(
        f"DELETE FROM events_event WHERE org_id = '{company.org}' AND sequence BETWEEN {after + 5} AND {after + 20}"
    )
    with company.socket() as one:
        one.subscribe("*", since=after)
        frames = [one.next() for _ in range(15)]
    assert frames[4] == {"type": "gap", "after": after + 4}
    assert sequences(frames[:4] + frames[5:]) == [*range(after + 1, after + 5), *range(after + 21, after + 31)]


def test_subscribing_and_unsubscribing_while_events_come_tells_each_once(company: Company) -> None:
    ending = threading.Event()

    def write() -> None:
        with httpx.Client(base_url=company.live.base, headers=company.client.headers, timeout=60) as client:
            while not ending.is_set():
                company.session(client)

    writers = at_once(write, write)
    with company.socket() as one:
        after = one.subscribe("session.created")["sequence"]
        for number in range(20):
            one.subscribe("session.*", filter={"sessionId": f"{number}"})
            one.ask("unsubscribe", events=["session.*"], filter={"sessionId": f"{number}"})
            time.sleep(0.02)
        ending.set()
        for writer in writers:
            writer.result(10)
        told = sequences(one.events(company.newest() - after))
    assert told == list(range(after + 1, after + 1 + len(told)))
    assert len(told) > 20


def test_pieces_of_all_answers_are_told_to_whoever_names_them(cast: Cast) -> None:
    word, _ = cast.plan(pieces=4, pause=0.1)
    agent = cast.agent()
    session, other = cast.session(agent), cast.session(agent)
    with socket(cast.live) as everything, socket(cast.live) as narrow, socket(cast.live) as deaf:
        everything.subscribe("message.delta", "message.completed")
        narrow.subscribe("message.delta", filter={"sessionId": other})
        deaf.subscribe("message.*", "*", filter={"sessionId": session})
        message = cast.post(session, word)
        told = everything.events(5)
        pieces = [frame["data"] for frame in told[:4]]
        assert {frame["eventType"] for frame in told[:4]} == {"message.delta"}
        assert not any({"id", "sequence"} & frame.keys() for frame in told[:4])
        assert {(piece["messageId"], piece["sessionId"]) for piece in pieces} == {(message, session)}
        whole = "".join(piece["content"] for piece in pieces)
        assert told[4]["data"]["response"]["content"] == whole
        offsets = [sum(len(piece["content"]) for piece in pieces[:n]) for n in range(4)]
        assert [piece["offset"] for piece in pieces] == offsets
        assert narrow.is_silent()
        kinds = {frame["eventType"] for frame in deaf.events(3)}
        assert kinds == {"message.queued", "message.started", "message.completed"} or "task.queued" in kinds
        assert "message.delta" not in kinds | {frame["eventType"] for frame in deaf.unread}
