"""The relay: numbers without gaps, in the order of the commits, for each organization by itself."""

import threading

import pytest
from django.db import connection, transaction

from taskmaster.events import relay
from taskmaster.events.log import record
from taskmaster.events.models import Event, EventCursor
from taskmaster.orgs.models import Organization
from tests.api.racing import at_once
from tests.live import until


@pytest.fixture
def orgs(db):
    """Two organizations with nothing to tell."""
    return [Organization.objects.create(slug=slug) for slug in ("one", "two")]


def write(org, *labels):
    with transaction.atomic():
        record(org.pk, *[labelled(label) for label in labels])


def labelled(label):
    """Any event that has room for a label."""
    return "session.expired", {"sessionId": label}


def numbered(org):
    """(sequence, label) of the organization's events, in sequence."""
    rows = Event.objects.filter(org=org, sequence__isnull=False).order_by("sequence")
    return [(row.sequence, row.data["sessionId"]) for row in rows]


def sequences(org):
    return [sequence for sequence, _ in numbered(org)]


@pytest.mark.django_db
def test_numbers_begin_at_one_and_have_no_gaps(orgs):
    write(orgs[0], "a", "b")
    write(orgs[0], "c")
    relay.drain()
    assert numbered(orgs[0]) == [(1, "a"), (2, "b"), (3, "c")]
    write(orgs[0], "d")
    relay.drain()
    assert numbered(orgs[0])[3:] == [(4, "d")]


@pytest.mark.django_db
def test_each_organization_counts_by_itself(orgs):
    for label in "abc":
        write(orgs[0], label)
        write(orgs[1], label.upper())
    relay.drain()
    assert numbered(orgs[0]) == [(1, "a"), (2, "b"), (3, "c")]
    assert numbered(orgs[1]) == [(1, "A"), (2, "B"), (3, "C")]


@pytest.mark.django_db
def test_draining_again_changes_nothing(orgs):
    write(orgs[0], "a")
    relay.drain()
    before = list(Event.objects.values_list())
    relay.drain()
    assert list(Event.objects.values_list()) == before
    assert EventCursor.objects.get(org=orgs[0]).last_sequence == 1


@pytest.mark.django_db
def test_a_batch_says_how_many_of_whom(orgs):
    write(orgs[0], "a", "b")
    write(orgs[1], "c")
    assert relay.number_batch() == {orgs[0].pk: 2, orgs[1].pk: 1}
    assert relay.number_batch() == {}


@pytest.mark.django_db
def test_more_than_a_batch_is_drained(orgs, monkeypatch):
    monkeypatch.setattr(relay, "BATCH", 3)
    write(orgs[0], *map(str, range(10)))
    relay.drain()
    assert numbered(orgs[0]) == [(number + 1, str(number)) for number in range(10)]


@pytest.mark.django_db
def test_pruned_events_leave_the_count_as_it_is(orgs):
    write(orgs[0], "a", "b")
    relay.drain()
    Event.objects.all().delete()
    write(orgs[0], "c")
    relay.drain()
    assert numbered(orgs[0]) == [(3, "c")]


@pytest.mark.django_db
def test_what_is_rolled_back_uses_no_number(orgs):
    write(orgs[0], "a")
    with transaction.atomic():
        record(orgs[0].pk, labelled("never"))
        transaction.set_rollback(True)
    write(orgs[0], "b")
    relay.drain()
    assert numbered(orgs[0]) == [(1, "a"), (2, "b")]


@pytest.mark.django_db
def test_a_commit_wakes_the_relay(orgs, django_capture_on_commit_callbacks):
    relay._pending.clear()
    with django_capture_on_commit_callbacks() as callbacks:
        write(orgs[0], "a")
        assert not relay._pending.is_set()
    assert relay.wake in callbacks


@pytest.mark.django_db(transaction=True)
def test_writers_and_relays_at_once_leave_no_gap_and_keep_each_writers_order(orgs):
    writing = threading.Event()

    def writer(number):
        for step in range(15):
            write(orgs[number % 2], f"{number}.{step}.a", f"{number}.{step}.b")

    def relays():
        while not writing.is_set():
            relay.drain()

    def writers_all():
        try:
            at_once(*[lambda n=n: writer(n) for n in range(4)])
        finally:
            writing.set()

    at_once(writers_all, relays, relays)
    relay.drain()
    for index, org in enumerate(orgs):
        found = numbered(org)
        assert [sequence for sequence, _ in found] == list(range(1, 61))
        for number in (index, index + 2):
            mine = [label for _, label in found if label.startswith(f"{number}.")]
            assert mine == [f"{number}.{step}.{part}" for step in range(15) for part in "ab"]
        assert EventCursor.objects.get(org=org).last_sequence == 60


@pytest.mark.django_db(transaction=True)
def test_a_reader_never_sees_a_number_appear_before_one_it_has_seen(orgs):
    """Whatever was read up to a sequence stays exactly that, however the writers interleave."""
    done = threading.Event()
    seen = []

    def write_all():
        try:
            at_once(*[lambda n=n: [write(orgs[0], f"{n}.{step}") for step in range(15)] for n in range(3)])
        finally:
            done.set()

    def watch():
        while not done.is_set():
            relay.drain()
            seen.append(numbered(orgs[0]))

    at_once(write_all, watch)
    relay.drain()
    final = numbered(orgs[0])
    assert len(final) == 45
    assert seen
    assert all(final[: len(moment)] == moment for moment in seen)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_an_open_transaction_holds_up_nobody_and_is_numbered_when_it_commits(orgs):
    opened, close = threading.Event(), threading.Event()

    def slow():
        with transaction.atomic():
            record(orgs[0].pk, labelled("slow"))
            opened.set()
            assert close.wait(10)

    def quick():
        try:
            assert opened.wait(10)
            write(orgs[0], "quick")
            relay.drain()
            assert numbered(orgs[0]) == [(1, "quick")]
        finally:
            close.set()

    at_once(slow, quick)
    relay.drain()
    assert numbered(orgs[0]) == [(1, "quick"), (2, "slow")]


@pytest.mark.django_db(transaction=True)
def test_the_relays_thread_numbers_by_itself_and_ends(orgs):
    running = relay.Relay()
    running.start_once()
    running.start_once()
    try:
        write(orgs[0], "a")
        until(lambda: sequences(orgs[0]) == [1], 10)
    finally:
        running.stop()
    write(orgs[0], "b")
    assert [thread.name for thread in threading.enumerate()].count("event-relay") == 0
    relay.drain()
    assert sequences(orgs[0]) == [1, 2]


@pytest.mark.parametrize(
    ("follow_until", "since_drained", "seconds"),
    [(0, 60, 0.025), (0, 0, 0.025), (1e9, 60, 0), (1e9, 0.005, 0), (1e9, 0, 0.005), (1e9, 0.001, 0.004)],
)
def test_only_what_somebody_follows_and_comes_after_a_while_waits_for_no_others(
    monkeypatch, follow_until, since_drained, seconds
):
    monkeypatch.setitem(relay._wanted, "until", follow_until)
    assert relay.pause(since_drained) == pytest.approx(seconds)


@pytest.mark.django_db(transaction=True)
def test_a_relay_that_has_just_started_tells_of_what_it_numbers(orgs, monkeypatch):
    monkeypatch.setitem(relay._wanted, "until", 0.0)
    told = []
    monkeypatch.setattr(relay.hub, "send", lambda key, data: told.append((key, data)))
    write(orgs[0], "a")
    relay.drain()
    assert told == []
    running = relay.Relay()
    running.start_once()
    try:
        write(orgs[0], "b")
        until(lambda: told, 10)
    finally:
        running.stop()
    assert told == [("events", {orgs[0].pk: 2})]
