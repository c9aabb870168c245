"""Lists: totals, and cursors that walk everything exactly once."""

import pytest

from agents_app.models import Agent, Task
from taskmaster.api.paging import EXACT_TO, PAGE_BYTES
from taskmaster.events.models import Event

pytestmark = pytest.mark.django_db


def tasks(org, count, **fields):
    agent = Agent.objects.filter(org=org).first()
    about = {"org": org, "agent": agent, "type": "t", "description": "d"} | fields
    return Task.objects.bulk_create([Task(**about) for _ in range(count)])


def walk(alice, path, member, meanwhile=lambda: None):
    """The ids of all pages, following `nextCursor`."""
    ids, cursor = [], ""
    while cursor is not None:
        document = alice.get(path + cursor).json()
        ids += [item["id"] for item in document[member]]
        pagination = document["pagination"]
        assert pagination["hasMore"] is (pagination["nextCursor"] is not None)
        cursor = pagination["nextCursor"] and f"&cursor={pagination['nextCursor']}"
        meanwhile()
    return ids


def test_an_empty_list(alice):
    document = alice.get("/tasks").json()
    assert document["tasks"] == []
    assert document["pagination"] == {"total": 0, "limit": 50, "offset": 0, "hasMore": False, "nextCursor": None}


def test_offsets_and_totals(alice, charlie):
    made = [task.pk for task in tasks(alice.org, 7)][::-1]
    tasks(charlie.org, 3)
    for offset, expected, more in ((0, made[:3], True), (3, made[3:6], True), (4, made[4:], False), (9, [], False)):
        document = alice.get(f"/tasks?limit=3&offset={offset}").json()
        assert [task["id"] for task in document["tasks"]] == expected
        pagination = document["pagination"]
        assert (pagination["total"], pagination["limit"], pagination["offset"]) == (7, 3, offset)
        assert pagination["hasMore"] is more
        assert (pagination["nextCursor"] is not None) is more


def test_a_filter_counts_what_it_leaves(alice):
    tasks(alice.org, 3, status="failed")
    tasks(alice.org, 4)
    document = alice.get("/tasks?status=failed&limit=2").json()
    assert document["pagination"]["total"] == 3
    assert len(document["tasks"]) == 2


def test_a_cursor_walks_newest_first_while_rows_come(alice):
    made = [task.pk for task in tasks(alice.org, 25)][::-1]
    assert walk(alice, "/tasks?limit=4", "tasks", meanwhile=lambda: tasks(alice.org, 3)) == made


def test_a_cursor_walks_newest_first_while_rows_go(alice):
    made = [task.pk for task in tasks(alice.org, 12)][::-1]
    gone = iter(made)

    def remove():
        Task.objects.filter(pk=next(gone)).delete()

    assert walk(alice, "/tasks?limit=4", "tasks", meanwhile=remove) == made


def test_a_cursor_walks_oldest_first_and_meets_what_comes(alice, world):
    said = [world.say(str(number)) for number in range(9)]

    def speak():
        if len(said) < 11:
            said.append(world.say("more"))

    assert walk(alice, f"/sessions/{world['session']}/messages?limit=4", "messages", meanwhile=speak) == said


def test_a_cursor_goes_with_a_filter(alice):
    made = [task.pk for task in tasks(alice.org, 9, status="failed")][::-1]
    tasks(alice.org, 9)
    assert walk(alice, "/tasks?status=failed&limit=2", "tasks", meanwhile=lambda: tasks(alice.org, 1)) == made


def test_a_full_last_page_has_no_more(alice):
    tasks(alice.org, 4)
    pagination = alice.get("/tasks?limit=4").json()["pagination"]
    assert (pagination["hasMore"], pagination["nextCursor"]) == (False, None)


def events(org, first, last):
    rows = [Event(org=org, event_type="agent.status", data={}, sequence=number) for number in range(first, last + 1)]
    Event.objects.bulk_create(rows)


def test_past_ten_thousand_the_total_is_a_floor(alice):
    assert EXACT_TO == 10_000
    Event.objects.all().delete()
    events(alice.org, 1, EXACT_TO)
    exact = alice.get("/events?limit=1").json()["pagination"]
    assert (exact["total"], "totalCapped" in exact) == (10_000, False)
    events(alice.org, EXACT_TO + 1, EXACT_TO + 50)
    for _ in range(2):
        capped = alice.get("/events?limit=1").json()["pagination"]
        assert (capped["total"], capped["totalCapped"]) == (10_000, True)
        assert capped["hasMore"] is True
    last = alice.get("/events?limit=1&offset=10049").json()
    assert [event["sequence"] for event in last["events"]] == [10_050]
    assert last["pagination"]["hasMore"] is False
    assert "totalCapped" not in alice.get("/events?limit=1&types=task.*").json()["pagination"]


def test_a_page_ends_early_at_four_megabytes(alice):
    assert PAGE_BYTES == 4 * 1024 * 1024
    made = [task.pk for task in tasks(alice.org, 6, description="x" * 1024 * 1024)][::-1]
    response = alice.get("/tasks?limit=6")
    document = response.json()
    assert [task["id"] for task in document["tasks"]] == made[:3]
    assert document["pagination"]["hasMore"] is True
    assert walk(alice, "/tasks?limit=6", "tasks") == made


def test_a_page_has_at_least_one_item(alice):
    made = [task.pk for task in tasks(alice.org, 2, description="x" * (PAGE_BYTES + 1))][::-1]
    assert walk(alice, "/tasks?limit=6", "tasks") == made
