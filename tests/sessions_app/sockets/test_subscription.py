"""The wishes of a socket, and what it is told of the log."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessions_app.sockets.subscription import MOST_WISHES, PORTION, Subscription
from sessions_app.sockets.wishes import Wish, wanted
from taskmaster.core.errors import BadRequest
from taskmaster.events.catalogue import EVENT_TYPES, LIVE_TYPES
from taskmaster.events.matching import UnknownTypes

from .fakes import FakeSink, item


def wish(*names, since=0, **about):
    return Wish(wanted(names), since, about)


def subscribed(*wishes):
    """A subscription with these wishes, and its sink."""
    sink = FakeSink()
    subscription = Subscription("org_1", sink)
    for one in wishes:
        subscription.add(one)
    return subscription, sink


EVENTS = [
    item(1, "task.queued", taskId="t1", sessionId="s1"),
    item(2, "task.started", taskId="t1", sessionId="s1"),
    item(3, "message.queued", messageId="m1", sessionId="s2"),
    item(4, "task.completed", taskId="t1", sessionId="s1", result={"sessionId": "s2"}),
    item(5, "session.expired", sessionId="s2"),
]


@pytest.mark.parametrize(
    ("wishes", "told"),
    [
        ([wish("*")], [1, 2, 3, 4, 5]),
        ([wish("task.*")], [1, 2, 4]),
        ([wish("task.queued", "session.*")], [1, 5]),
        ([wish("*", since=3)], [4, 5]),
        ([wish("*", sessionId="s1")], [1, 2, 4]),
        ([wish("*", sessionId="s2")], [3, 5]),
        ([wish("*", sessionId="s1", taskId="t2")], []),
        ([wish("*", workflowId="w")], []),
        ([wish("task.*"), wish("task.queued"), wish("*", sessionId="s2")], [1, 2, 3, 4, 5]),
        ([wish("task.queued"), wish("session.*", since=4)], [1, 5]),
        ([wish("message.delta")], []),
    ],
)
def test_each_event_that_a_wish_asks_for_is_told_once(wishes, told):
    subscription, sink = subscribed(*wishes)
    assert subscription.take(EVENTS[subscription.cursor :])
    assert (sink.sequences, subscription.cursor) == (told, 5)


def test_the_frame_is_what_the_reference_shows_with_id_and_sequence():
    subscription, sink = subscribed(wish("*"))
    subscription.take([item(1, "task.completed", taskId="task_1", result={"a": "ä"}, duration=1500)])
    assert sink.frames == [
        {
            "type": "event",
            "eventType": "task.completed",
            "id": "evt_1",
            "sequence": 1,
            "timestamp": 1704110400250,
            "data": {"taskId": "task_1", "result": {"a": "ä"}, "duration": 1500},
        }
    ]


@pytest.mark.parametrize("size", [0, 10, 60, 124, 125, 126, 200, 65_400, 65_535, 65_536, 300_000])
def test_frames_of_all_sizes_are_whole(size):
    subscription, sink = subscribed(wish("*"))
    subscription.take([item(1, x="y" * size), item(2)])
    assert [len(frame["data"].get("x", "")) for frame in sink.frames] == [size, 0]


def test_the_same_batch_is_encoded_once_for_all_who_want_the_same(monkeypatch):
    encoded = []
    monkeypatch.setattr("sessions_app.sockets.subscription.framed", lambda raw: encoded.append(raw) or b"\x81\x02{}")
    found = [item(sequence, "task.queued") for sequence in range(1, 4)] + [item(4)]
    for _ in range(5):
        subscription, _ = subscribed(wish("task.*"))
        subscription.take(found)
    assert len(encoded) == 3
    subscription, _ = subscribed(wish("*", taskId="t"), wish("session.*"))
    subscription.take(found)
    assert len(encoded) == 4


def test_another_batch_or_other_types_are_not_mistaken_for_the_last_ones():
    found, other = [item(1, "task.queued"), item(2)], [item(1), item(2, "task.queued")]
    for events, names, told in (
        (found, "task.*", [1]),
        (found, "*", [1, 2]),
        (other, "*", [1, 2]),
        (other, "task.*", [2]),
    ):
        subscription, sink = subscribed(wish(names))
        subscription.take(events)
        assert sink.sequences == told


def test_whoever_does_not_read_is_written_no_more_than_a_portion():
    found = [item(sequence, x="y" * 1000) for sequence in range(1, 101)]
    subscription, sink = subscribed(wish("*"))
    sink.stop_reading()
    assert not subscription.take(found)
    assert subscription.cursor == len(sink.frames) < 2 * PORTION / 1000
    while subscription.cursor < 100:
        assert not subscription.take(found[subscription.cursor :])
    assert sink.sequences == list(range(1, 101))


def test_what_a_closed_socket_could_not_be_told_is_still_to_come():
    subscription, sink = subscribed(wish("*"))
    sink.serverClose(1000)
    with pytest.raises(ConnectionError):
        subscription.take([item(1)])
    assert subscription.cursor == 0


def test_names_are_the_union_of_what_was_asked_for():
    subscription, _ = subscribed(wish("task.*", "session.created"), wish("*", since=0), wish("task.*", sessionId="s"))
    assert subscription.names == ["task.*", "session.created", "*"]


@pytest.mark.parametrize(
    ("removed", "names"),
    [
        (["task.*"], ["message.completed"]),
        (["*"], []),
        (["message.completed"], ["task.*"]),
        (["session.*"], ["task.*", "message.completed"]),
        (["task.completed"], ["message.completed", *sorted(wanted(["task.*"]).types - {"task.completed"})]),
    ],
)
def test_unsubscribing_takes_types_away_and_leaves_the_rest(removed, names):
    subscription, sink = subscribed(wish("task.*", "message.completed"))
    subscription.remove(wanted(removed).types, {})
    assert subscription.names == names
    subscription.take([item(number, name) for number, name in enumerate(sorted(EVENT_TYPES), 1)])
    assert {frame["eventType"] for frame in sink.frames} == wanted(names).types


def test_unsubscribing_with_a_filter_takes_only_the_wishes_with_that_filter():
    subscription, _ = subscribed(wish("task.*"), wish("task.*", sessionId="s1"), wish("task.*", sessionId="s2"))
    subscription.remove(wanted(["task.*"]).types, {"sessionId": "s1"})
    assert [one.about for one in subscription.wishes] == [{}, {"sessionId": "s2"}]


def test_the_same_wish_again_is_one_wish():
    subscription, _ = subscribed(*[wish("task.*")] * 3)
    assert len(subscription.wishes) == 1


def test_from_now_on_means_after_what_it_was_told_last():
    """The log may have gone on since somebody looked where it ends."""
    subscription, _ = subscribed()
    assert subscription.begins_at(3) == 3
    subscription.add(wish("task.*", since=3))
    subscription.take([item(4, "task.queued"), item(5, "task.queued")])
    assert subscription.begins_at(4) == 5
    assert subscription.begins_at(9) == 9


def test_a_socket_has_at_most_a_hundred_wishes():
    subscription, _ = subscribed(*(wish("*", sessionId=f"s{number}") for number in range(MOST_WISHES - 1)))
    subscription.insist_on_room()
    subscription.add(wish("*", sessionId="last"))
    with pytest.raises(BadRequest):
        subscription.insist_on_room()


def test_live_types_have_to_be_named():
    assert not wanted(["*"]).types & LIVE_TYPES
    assert not wanted(["message.*"]).types & LIVE_TYPES
    matcher = wanted(["message.delta", "task.*"])
    assert (matcher.names, matcher.types & LIVE_TYPES) == (("message.delta", "task.*"), {"message.delta"})
    with pytest.raises(UnknownTypes):
        wanted(["message.delta", "delta"])


@pytest.mark.parametrize(
    ("wishes", "data", "hears"),
    [
        ([wish("message.delta")], {}, True),
        ([wish("message.delta", sessionId="s1")], {"sessionId": "s1"}, True),
        ([wish("message.delta", sessionId="s1")], {"sessionId": "s2"}, False),
        ([wish("*", sessionId="s2"), wish("message.delta", sessionId="s1")], {"sessionId": "s2"}, False),
        ([wish("*")], {}, False),
    ],
)
def test_live_events_are_narrowed_like_the_others(wishes, data, hears):
    subscription, _ = subscribed(*wishes)
    assert subscription.wants_live("message.delta", data) is hears


def test_a_gap_says_after_what():
    subscription, sink = subscribed(wish("*", since=7))
    subscription.gap()
    assert sink.frames == [{"type": "gap", "after": 7}]


class Reader:
    """What a socket must be told, worked out event by event: each wish hears each of its events exactly once.

    Asking for what came before lets the reader go back; nothing is told that no wish is still to hear.
    """

    def __init__(self):
        self.cursor, self.told = 0, []
        self.wishes = []  # [types, about, since, sequences heard]

    def add(self, names, about, since):
        types = wanted([names]).types
        like = [one for one in self.wishes if one[4] == names and one[1] == about]
        if not self.wishes or since < self.cursor:
            self.cursor = since
        elif like and like[0][2] <= since:
            return
        self.wishes = [one for one in self.wishes if one not in like] + [[types, about, since, set(), names]]

    def remove(self, types):
        for one in self.wishes:
            if one[0] & types:
                one[0], one[4] = one[0] - types, None
        self.wishes = [one for one in self.wishes if one[0]]

    def read(self, events):
        for event in events:
            self.cursor = event.sequence
            due = [one for one in self.wishes if self._asks(one, event)]
            if any(event.sequence not in one[3] for one in due):
                self.told.append(event.sequence)
            for one in due:
                one[3].add(event.sequence)

    @staticmethod
    def _asks(one, event):
        types, about, since = one[:3]
        fits = all(event.about.get(name) == value for name, value in about.items())
        return event.sequence > since and event.event_type in types and fits


KINDS = ["task.queued", "task.completed", "message.queued", "session.expired"]
WORDS = ["*", "task.*", "message.*", "task.queued", "session.expired"]
FILTERS = [{}, {}, {"sessionId": "a"}, {"sessionId": "b"}]
OPERATIONS = st.one_of(
    st.tuples(st.just("write"), st.lists(st.sampled_from(KINDS), min_size=1, max_size=8)),
    st.tuples(st.just("read"), st.integers(1, 9), st.booleans()),
    st.tuples(st.just("add"), st.sampled_from(WORDS), st.sampled_from(FILTERS)),
    st.tuples(st.just("since"), st.sampled_from(WORDS), st.sampled_from(FILTERS), st.integers(0, 30)),
    st.tuples(st.just("remove"), st.sampled_from(WORDS)),
)


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(st.lists(OPERATIONS, max_size=30))
def test_every_wanted_event_is_told_once_and_in_order_whatever_is_asked_for_meanwhile(operations):
    subscription, sink = subscribed()
    reader, log, numbers = Reader(), [], itertools.count(1)
    for kind, *values in operations:
        if kind == "write":
            log += [item(next(numbers), name, sessionId="abc"[len(log) % 3]) for name in values[0]]
        elif kind == "read":
            read(subscription, sink, reader, log, *values)
        elif kind == "remove":
            types = wanted([values[0]]).types
            subscription.remove(types, {})
            reader.remove(types)
        else:
            since = min(values[2], len(log)) if kind == "since" else subscription.begins_at(len(log))
            subscription.add(wish(values[0], since=since, **values[1]))
            reader.add(*values[:2], since)
        assert [set(one.wanted.types) for one in subscription.wishes] == [set(one[0]) for one in reader.wishes]
    while subscription.wishes and subscription.cursor < len(log):
        read(subscription, sink, reader, log, 100, True)
    assert sink.sequences == reader.told


def read(subscription, sink, reader, log, count, reads):
    """Hand a batch over; the client reads it all, or not."""
    if subscription.wishes and subscription.cursor < len(log):
        before = subscription.cursor
        found = log[before : before + count]
        sink.read() if reads else sink.stop_reading()
        whole = subscription.take(found)
        assert not whole or subscription.cursor == found[-1].sequence
        assert subscription.cursor > before
        reader.read(log[before : subscription.cursor])
