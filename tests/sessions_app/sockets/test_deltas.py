"""`message.delta`: the pieces of all running answers of an organization, live."""

import pytest

from sessions_app.sockets import deltas as module
from sessions_app.sockets.deltas import Deltas
from sessions_app.sockets.subscription import Subscription
from sessions_app.sockets.wishes import Wish, wanted
from tests.events.catalogued import complaints

from .fakes import FakeSink


@pytest.fixture
def deltas(monkeypatch):
    """Those of this test, with nothing of the hub."""
    monkeypatch.setattr(module.hub, "listen_prefix", lambda prefix, listener: None)
    return Deltas()


def listener(deltas, *names, org="org_1", **about):
    """The sink of a socket that listens."""
    sink = FakeSink()
    subscription = Subscription(org, sink)
    subscription.add(Wish(wanted(names or ["message.delta"]), 0, about))
    deltas.join(subscription, sink)
    return sink, subscription


def say(deltas, message="msg_1", **more):
    """A piece of an answer comes in."""
    data = {"event": "delta", "content": "He", "offset": 3, "attempt": 1, "orgId": "org_1", "messageId": message}
    deltas._heard(f"live:{message}", data | {"sessionId": "s1", "taskId": "t1", "workflowId": None} | more)


def test_a_piece_is_an_event_without_id_and_sequence(deltas):
    sink, _ = listener(deltas)
    say(deltas)
    (frame,) = sink.frames
    assert frame.pop("timestamp") > 1_700_000_000_000
    data = {"messageId": "msg_1", "sessionId": "s1", "content": "He", "offset": 3}
    assert frame == {"type": "event", "eventType": "message.delta", "data": data}
    assert complaints("message.delta", data) == []


def test_only_those_who_asked_by_name_hear_it_and_only_what_they_asked_for(deltas):
    sinks = {
        "all": listener(deltas)[0],
        "session": listener(deltas, sessionId="s1")[0],
        "task": listener(deltas, taskId="t1")[0],
        "other session": listener(deltas, sessionId="s2")[0],
        "pattern": listener(deltas, "*", "message.*")[0],
        "stranger": listener(deltas, org="org_2")[0],
    }
    say(deltas)
    say(deltas, sessionId="s2", taskId="t2")
    assert {name: len(sink.frames) for name, sink in sinks.items() if sink.frames} == {
        "all": 2,
        "session": 1,
        "task": 1,
        "other session": 1,
    }


def test_what_is_no_piece_of_an_answer_is_not_told(deltas):
    sink, _ = listener(deltas)
    deltas._heard("live:msg_1", {"event": "progress", "progress": 0.5, "message": ""})
    say(deltas, message=None)
    assert sink.frames == []


def test_whoever_is_behind_or_gone_misses_it_and_the_others_do_not(deltas):
    behind, gone, fine = (listener(deltas)[0] for _ in range(3))
    behind.stop_reading()
    gone.serverClose(1000)
    say(deltas)
    assert [len(sink.frames) for sink in (behind, gone, fine)] == [0, 0, 1]
    behind.read()
    say(deltas)
    assert [len(sink.frames) for sink in (behind, gone, fine)] == [1, 0, 2]


def test_a_piece_is_encoded_once(deltas, monkeypatch):
    sinks, made = [listener(deltas)[0] for _ in range(5)], []
    wire = module.wire
    monkeypatch.setattr(module, "wire", lambda frame: made.append(frame) or wire(frame))
    say(deltas)
    assert (len(made), [len(sink.frames) for sink in sinks]) == (1, [1] * 5)


def test_whoever_leaves_hears_no_more(deltas):
    sink, subscription = listener(deltas)
    subscription.remove(wanted(["message.delta"]).types, {})
    say(deltas)
    deltas.leave(subscription)
    deltas.leave(subscription)
    say(deltas)
    assert sink.frames == []
    assert deltas._sockets == {}
