"""Reading the log: in sequence, and never more at once than fits."""

from datetime import UTC, datetime

import pytest

from taskmaster.events import items
from taskmaster.events.models import Event, EventCursor
from taskmaster.orgs.models import Organization

pytestmark = pytest.mark.django_db
MOMENT = datetime(2024, 1, 1, 12, 0, 0, 123_000, UTC)


@pytest.fixture
def orgs(db):
    return [Organization.objects.create(slug=slug) for slug in ("one", "two")]


def write(org, *sizes, first=1):
    """Events with data of these sizes, about."""
    rows = [
        Event(org=org, event_type="session.expired", data={"x": "y" * size}, sequence=sequence, created_at=MOMENT)
        for sequence, size in enumerate(sizes, first)
    ]
    Event.objects.bulk_create(rows)


def sequences(org, after=0):
    return [each.sequence for each in items.after(org.pk, after)]


def test_events_come_in_sequence_and_of_one_organization(orgs):
    write(orgs[0], 1, 1, first=2)
    write(orgs[0], 1)
    write(orgs[1], 1, 1, 1, 1, 1)
    Event.objects.create(org=orgs[0], event_type="session.expired", data={}, sequence=None)
    assert sequences(orgs[0]) == [1, 2, 3]
    assert sequences(orgs[0], 2) == [3]
    assert sequences(orgs[0], 3) == []


def test_an_event_is_as_rest_tells_it(orgs):
    write(orgs[0], 1)
    (each,) = items.after(orgs[0].pk, 0)
    row = Event.objects.get()
    assert each.moment == MOMENT
    assert each.about == {"x": "y"}
    assert each.rest.decode() == (
        f'{{"id":"{row.id}","eventType":"session.expired","sequence":1,'
        '"timestamp":"2024-01-01T12:00:00.123Z","data":{"x":"y"}}'
    )


def test_at_most_five_hundred_are_read_at_once(orgs):
    write(orgs[0], *[1] * 501)
    assert sequences(orgs[0]) == list(range(1, 501))


@pytest.mark.parametrize(
    ("sizes", "read"),
    [
        ([0.4, 0.4, 0.4], [1, 2]),
        ([3, 0.1], [1]),
        ([0.1, 3, 0.1], [1]),
        ([0.1] * 4, [1, 2, 3, 4]),
    ],
)
def test_large_events_are_read_few_at_a_time(orgs, sizes, read, django_assert_num_queries):
    write(orgs[0], *(int(size * items.SIZE_AT_MOST) for size in sizes))
    with django_assert_num_queries(2):
        assert sequences(orgs[0]) == read


def test_events_that_are_pruned_while_they_are_read_are_no_end_of_the_log(orgs, monkeypatch):
    write(orgs[0], *[items.SIZE_AT_MOST] * 3)
    looked = items._last_that_fits

    def look(org_id, after):
        last = looked(org_id, after)
        Event.objects.filter(sequence__lte=1).delete()
        return last

    monkeypatch.setattr(items, "_last_that_fits", look)
    assert sequences(orgs[0]) == [2]


def test_last_sequences_are_those_that_the_relay_has_given(orgs):
    EventCursor.objects.create(org=orgs[0], last_sequence=7)
    assert items.last_sequence(orgs[0].pk) == 7
    assert items.last_sequence(orgs[1].pk) == 0
    assert items.last_sequences([org.pk for org in orgs]) == {orgs[0].pk: 7}
