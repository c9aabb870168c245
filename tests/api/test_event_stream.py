"""`GET /events/stream` before it begins: what is followed, from where on, and what is refused."""

import pytest
from django.db import transaction

from taskmaster.events import relay
from taskmaster.events.catalogue import EVENT_TYPES
from taskmaster.events.log import record
from taskmaster.orgs.models import ApiToken

from .calls import assert_failure

pytestmark = pytest.mark.django_db

NO_SEQUENCES = ("abc", "-1", "1.5", "1e3", "0x1", "%00", "1%00", "%20", "1%20", "%D9%A3", "9" * 30, "NaN", "None")
NO_IDS = ("", "%00", "a%00b", "%FF", "%E2%98%83", "a%20b", "a%0Ab", "x" * 65, "x" * 5000)
NO_TYPES = (
    "",
    ",",
    "nope",
    "task",
    "task.",
    "tas*",
    "*.queued",
    "Task.*",
    "task.queued,",
    "%00",
    "%FF",
    "message.delta",
)


def write(person, count):
    with transaction.atomic():
        record(person.org.pk, *[("session.expired", {"sessionId": f"session_{n}"}) for n in range(count)])
    relay.drain()


def follow(person, query="", **headers):
    response = person.get(f"/events/stream{query}", **headers)
    assert response.status_code == 200, response.content
    return response.follow


@pytest.fixture
def newest(alice):
    """The last sequence of alice's log."""
    write(alice, 7)
    return follow(alice).newest


def test_without_a_sequence_it_begins_now(alice, newest):
    assert newest >= 7
    response = alice.get("/events/stream")
    assert response.content == b": connected\nretry: 1000\nid: %d\n\n" % newest
    assert (response["Cache-Control"], response["X-Accel-Buffering"]) == ("no-cache", "no")
    told = response.follow
    assert (told.org_id, told.after, told.newest, told.about) == (alice.org.pk, newest, newest, {})
    assert told.types == EVENT_TYPES
    assert ApiToken.objects.get(pk=told.token_id).last_four == alice.token[-4:]


def test_an_empty_log_begins_at_zero(db):
    from taskmaster.orgs.models import Organization
    from tests.conftest import person

    told = follow(person(Organization.objects.create(slug="nothing")))
    assert (told.after, told.newest) == (0, 0)


@pytest.mark.parametrize(
    ("query", "headers", "after"),
    [
        ("?after=0", {}, 0),
        ("?after=3", {}, 3),
        ("", {"last_event_id": "5"}, 5),
        ("?after=3", {"last_event_id": "5"}, 5),
        ("?after=5", {"last_event_id": "0"}, 0),
        ("?after=nonsense", {"last_event_id": "5"}, 5),
        ("?after=3", {"last_event_id": ""}, 3),
    ],
)
def test_it_begins_after_the_last_event_id_or_else_after_a_sequence(alice, newest, query, headers, after):
    told = follow(alice, query, **headers)
    assert (told.after, told.newest) == (after, newest)


def test_it_may_begin_at_the_end_and_no_further(alice, newest):
    assert follow(alice, f"?after={newest}").after == newest
    for query, headers, field in (
        (f"?after={newest + 1}", {}, "after"),
        ("", {"last_event_id": str(newest + 1)}, "Last-Event-ID"),
        ("?after=0", {"last_event_id": str(10**17)}, "Last-Event-ID"),
    ):
        response = alice.get(f"/events/stream{query}", **headers)
        assert_failure(response, 400, "validation_failed")
        assert response.json()["details"] == [{"field": field, "message": f"the newest sequence is {newest}"}]


def test_another_organizations_log_is_another_one(alice, charlie, newest):
    write(charlie, newest + 10)
    assert_failure(alice.get(f"/events/stream?after={newest + 1}"), 400, "validation_failed")
    assert follow(charlie).org_id == charlie.org.pk


@pytest.mark.parametrize("value", NO_SEQUENCES)
def test_what_is_no_sequence_is_refused(alice, value):
    response = alice.get(f"/events/stream?after={value}")
    assert_failure(response, 400, "validation_failed")
    assert response.json()["details"] == [{"field": "after", "message": "a sequence number"}]
    if "%" not in value:
        response = alice.get("/events/stream", last_event_id=value)
        assert_failure(response, 400, "validation_failed")
        assert response.json()["details"] == [{"field": "Last-Event-ID", "message": "a sequence number"}]


@pytest.mark.parametrize("value", NO_TYPES)
def test_what_means_no_type_is_refused(alice, value):
    response = alice.get(f"/events/stream?types={value}")
    assert_failure(response, 400, "validation_failed")
    assert [detail["field"] for detail in response.json()["details"]] == ["types"]


@pytest.mark.parametrize("name", ["sessionId", "taskId", "workflowId"])
def test_what_cannot_be_an_id_is_refused(alice, name):
    for value in NO_IDS:
        response = alice.get(f"/events/stream?{name}={value}")
        assert_failure(response, 400, "validation_failed")
        assert response.json()["details"] == [{"field": name, "message": "an id"}]


def test_types_and_things_narrow_it(alice):
    told = follow(alice, "?types=session.*,task.queued&sessionId=session_1&taskId=task_2&workflowId=workflow_3&more=1")
    assert told.types == {"session.created", "session.expired", "session.deleted", "task.queued"}
    assert told.about == {"sessionId": "session_1", "taskId": "task_2", "workflowId": "workflow_3"}


def test_a_refusal_can_be_problem_details(alice):
    response = alice.get("/events/stream?after=abc", accept="application/problem+json")
    assert (response.status_code, response["Content-Type"]) == (400, "application/problem+json")
