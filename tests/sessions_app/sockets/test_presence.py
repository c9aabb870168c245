"""Which sockets are open, as sessions show it."""

from datetime import timedelta
from functools import partial

import pytest
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from sessions_app.models import LiveServer, LiveSocket, Session
from sessions_app.sockets.presence import Presence
from tests.api.racing import at_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def sessions(alice):
    return [Session.objects.create(org=alice.org, agent_type="custom") for _ in range(3)]


@pytest.fixture
def presence():
    return Presence()


def open_sockets(presence, session, **sockets):
    """Sockets by their keys, each with its names."""
    for key, names in sockets.items():
        presence.opened(key, session.pk, names)
        presence.store(key)


def shown(alice, session):
    """(webSocketCount, eventSubscriptions)."""
    found = alice.get(f"/sessions/{session.pk}").json()["session"]
    return found["webSocketCount"], found["eventSubscriptions"]


def test_a_session_shows_its_sockets_and_the_union_of_their_subscriptions(alice, sessions, presence):
    open_sockets(presence, sessions[0], a=[], b=["task.*", "session.created"], c=["task.*", "*"])
    open_sockets(presence, sessions[1], d=["message.delta"])
    assert shown(alice, sessions[0]) == (3, ["*", "session.created", "task.*"])
    assert shown(alice, sessions[1]) == (1, ["message.delta"])
    assert shown(alice, sessions[2]) == (0, [])
    presence.closed("c")
    presence.store("c")
    assert shown(alice, sessions[0]) == (2, ["session.created", "task.*"])


def test_lists_show_it_without_a_query_for_each(alice, sessions, presence):
    open_sockets(presence, sessions[0], a=["*"], b=[])

    def listed():
        with CaptureQueriesContext(connection) as queries:
            found = alice.get("/sessions").json()["sessions"]
        return {one["id"]: one["webSocketCount"] for one in found}, len(queries)

    listed()  # It notes that the token is used, once.
    counts, before = listed()
    assert counts == {sessions[0].pk: 2, sessions[1].pk: 0, sessions[2].pk: 0}
    for number in range(20):
        more = Session.objects.create(org=alice.org, agent_type="custom")
        open_sockets(presence, more, **{f"s{number}": ["*"]})
    counts, after = listed()
    assert (len(counts), sum(counts.values()), after) == (23, 22, before)


def test_the_sockets_of_several_processes_count_together(alice, sessions, presence):
    other = Presence()
    open_sockets(presence, sessions[0], a=["task.*"])
    open_sockets(other, sessions[0], b=["session.*"])
    assert shown(alice, sessions[0]) == (2, ["session.*", "task.*"])
    other.end()
    assert shown(alice, sessions[0]) == (1, ["task.*"])
    assert LiveServer.objects.count() == 1


@pytest.mark.parametrize(("seconds", "count"), [(8, 1), (12, 0)])
def test_the_sockets_of_a_process_that_was_killed_are_not_counted(alice, sessions, presence, seconds, count):
    open_sockets(presence, sessions[0], a=["task.*"])
    LiveServer.objects.update(beat_at=Now() - timedelta(seconds=seconds))
    assert shown(alice, sessions[0])[0] == count


def test_a_beat_keeps_the_living_and_clears_the_dead_away(alice, sessions, presence):
    open_sockets(presence, sessions[0], a=["task.*"])
    open_sockets(Presence(), sessions[0], b=[])
    LiveServer.objects.update(beat_at=Now() - timedelta(seconds=70))
    presence.beat()
    assert shown(alice, sessions[0]) == (1, ["task.*"])
    assert list(LiveSocket.objects.values_list("pk", flat=True)) == ["a"]


def test_a_process_that_was_taken_for_dead_is_there_again_with_its_next_beat(alice, sessions, presence):
    open_sockets(presence, sessions[0], a=["task.*"], b=[])
    LiveServer.objects.all().delete()
    assert shown(alice, sessions[0]) == (0, [])
    presence.beat()
    assert shown(alice, sessions[0]) == (2, ["task.*"])
    presence.beat()
    assert LiveServer.objects.count() == 1


def test_what_could_not_be_written_is_made_up_for(alice, sessions, presence, monkeypatch):
    open_sockets(presence, sessions[0], a=["task.*"], b=["*"])
    store = presence._store

    def fail(key, seen):
        raise OperationalError

    monkeypatch.setattr(presence, "_store", fail)
    open_sockets(presence, sessions[0], a=["session.*"], c=["action.*"])
    presence.closed("b")
    presence.store("b")
    assert shown(alice, sessions[0]) == (2, ["*", "task.*"])
    monkeypatch.setattr(presence, "_store", store)
    presence.beat()
    assert shown(alice, sessions[0]) == (2, ["action.*", "session.*"])


def test_a_row_that_should_not_be_there_is_gone_with_the_next_beat(alice, sessions, presence):
    open_sockets(presence, sessions[0], a=[])
    LiveSocket.objects.create(pk="ghost", server=LiveServer.objects.get(), session=sessions[0])
    presence.beat()
    assert shown(alice, sessions[0]) == (1, [])


def test_a_beat_without_anything_to_mend_looks_only(alice, sessions, presence, django_assert_max_num_queries):
    open_sockets(presence, sessions[0], **{f"s{number}": ["*"] for number in range(30)})
    with django_assert_max_num_queries(5):
        presence.beat()


@pytest.mark.django_db(transaction=True)
def test_sockets_that_open_at_once_make_one_process(alice, sessions, presence):
    joins = [partial(open_sockets, presence, sessions[0], **{f"s{number}": []}) for number in range(8)]
    at_once(*joins)
    assert (LiveServer.objects.count(), shown(alice, sessions[0])[0]) == (1, 8)
