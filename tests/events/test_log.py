"""The event log: written with the change it tells of, and read over REST in sequence."""

import pytest
from django.db import transaction

from agents_app import dispatch, leases, registry
from agents_app.models import Agent, Task
from sessions_app.models import Message, Session
from sessions_app.tasks import sweep
from taskmaster.events import relay
from taskmaster.events.catalogue import CATALOGUE
from taskmaster.events.log import record
from taskmaster.events.models import Event
from tests.api.working import answer, claim, told
from tests.api.world import World, stored

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(alice):
    return World(alice)


@pytest.fixture
def quiet(alice):
    """Alice, before anything was told."""
    Event.objects.all().delete()
    return alice


def write(org, *kinds):
    with transaction.atomic():
        record(org.pk, *[(kind, data_of(kind)) for kind in kinds])


def data_of(kind):
    """What such an event may say; nothing of a type that there is not."""
    return CATALOGUE[kind].example()["data"] if kind in CATALOGUE else {}


def read(alice, query=""):
    document = alice.get(f"/events{query}").json()
    return [(event["sequence"], event["eventType"]) for event in document["events"]]


def test_more_events_than_one_statement_takes_are_written_in_order(quiet, monkeypatch):
    monkeypatch.setattr("taskmaster.events.log.AT_ONCE", 2)
    kinds = ["task.queued", "task.started", "task.progress", "task.retrying", "task.failed"]
    write(quiet.org, *kinds)
    relay.drain()
    assert read(quiet) == list(enumerate(kinds, 1))


@pytest.mark.parametrize("kind", ["task.exploded", "", "task", "task.*", "message.delta", "Task.queued"])
def test_an_unknown_type_cannot_be_written(quiet, kind):
    with pytest.raises(ValueError, match="catalogue"):
        write(quiet.org, "task.queued", kind)
    assert not Event.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_event_outside_of_a_transaction_is_refused(alice):
    before = Event.objects.count()
    with pytest.raises(transaction.TransactionManagementError):
        record(alice.org.pk, ("task.queued", data_of("task.queued")))
    assert Event.objects.count() == before


class Interrupted(Exception):
    pass


def undone(change):
    """Make a change in a transaction that does not come about."""

    def interrupted():
        with transaction.atomic():
            change()
            raise Interrupted

    with pytest.raises(Interrupted):
        interrupted()


@pytest.mark.parametrize("kind", ["task.cancelled", "task.queued", "agent.status", "session.deleted"])
def test_a_change_that_is_undone_was_never_told(alice, world, kind):
    assert world["message"]
    changes = {
        "task.cancelled": lambda: dispatch.cancel(Task.objects.get()),
        "task.queued": world.submit,
        "agent.status": lambda: registry.set_status(Agent.objects.get(pk=world["agent"]), "paused"),
        "session.deleted": lambda: alice.delete(f"/sessions/{world['session']}"),
    }
    before = stored()
    undone(changes[kind])
    assert stored() == before
    changes[kind]()
    assert len(told(alice.org, kind)) == (2 if kind == "task.queued" else 1)


def failing(*args, **kwargs):
    raise Interrupted


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("module", ["agents_app.dispatch", "sessions_app.talking"])
def test_a_message_whose_event_cannot_be_written_is_not_kept(alice, world, monkeypatch, module):
    assert world["session"]
    before = stored()
    monkeypatch.setattr(f"{module}.record", failing)
    response = alice.post(f"/sessions/{world['session']}/messages", {"content": "hello"})
    assert response.status_code == 500
    assert stored() == before


@pytest.mark.django_db(transaction=True)
def test_a_claim_and_an_end_whose_event_cannot_be_written_did_not_happen(alice, world, monkeypatch):
    assert world["message"]
    before = stored()
    with monkeypatch.context() as broken:
        broken.setattr("agents_app.leases.claiming.record", failing)
        with pytest.raises(Interrupted):
            claim(world["agent"])
    assert stored() == before
    (task,) = claim(world["agent"])
    before = stored()
    with monkeypatch.context() as broken:
        broken.setattr("sessions_app.talking.record", failing)
        with pytest.raises(Interrupted):
            leases.complete(task, result={"content": "hi"})
    assert stored() == before
    assert Message.objects.get().status == "processing"


def test_an_expiry_is_told_with_it(alice, world, monkeypatch, settings):
    assert world["session"]
    settings.SESSION_IDLE_SECONDS = -1
    before = stored()
    with monkeypatch.context() as broken:
        broken.setattr("sessions_app.lifecycle.record", failing)
        with pytest.raises(Interrupted):
            sweep()
    assert stored() == before
    sweep()
    assert len(told(alice.org, "session.expired")) == 1
    assert Session.objects.get().status == "expired"


def test_a_refused_request_tells_nothing(alice, world):
    assert world["cancelled_task"]
    before = Event.objects.count()
    alice.post(f"/tasks/{world['cancelled_task']}/cancel")
    alice.post("/sessions", {"agentType": "nonsense"})
    alice.post("/tasks/task_nope/cancel")
    assert Event.objects.count() == before


def test_an_event_as_it_is_read(quiet):
    write(quiet.org, "task.progress")
    relay.drain()
    (event,) = quiet.get("/events").json()["events"]
    assert set(event) == {"id", "eventType", "sequence", "timestamp", "data"}
    assert event["id"].startswith("evt_")
    assert (event["eventType"], event["data"]) == ("task.progress", data_of("task.progress"))
    assert isinstance(event["sequence"], int)


def test_an_event_is_read_by_its_id_by_those_whose_it_is(quiet, charlie):
    write(quiet.org, "task.queued", "task.started")
    relay.drain()
    event, other = quiet.get("/events").json()["events"]
    assert quiet.get(f"/events/{event['id']}").json()["event"] == event != other
    for person, pk in ((charlie, event["id"]), (quiet, "evt_1")):
        response = person.get(f"/events/{pk}")
        assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_what_has_no_number_yet_is_not_read(quiet):
    write(quiet.org, "task.queued")
    assert read(quiet) == []
    assert quiet.get(f"/events/{Event.objects.get().id}").status_code == 404
    relay.drain()
    assert [kind for _, kind in read(quiet)] == ["task.queued"]


def test_events_are_read_after_a_sequence(quiet):
    write(quiet.org, "task.queued", "task.started", "task.completed")
    relay.drain()
    (first, *rest) = read(quiet)
    assert [kind for _, kind in (first, *rest)] == ["task.queued", "task.started", "task.completed"]
    assert read(quiet, f"?after={first[0]}") == rest
    assert read(quiet, f"?after={rest[-1][0]}") == []
    assert read(quiet, "?after=999999999999999999") == []
    assert read(quiet, "?after=0") == [first, *rest]


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ("task.queued", ["task.queued"]),
        ("task.queued,session.created", ["session.created", "task.queued"]),
        ("task.*", ["task.queued", "task.failed"]),
        ("*", ["session.created", "task.queued", "workflow.started", "workflow.step.failed", "task.failed"]),
        ("workflow.*", ["workflow.started", "workflow.step.failed"]),
        ("workflow.step.*", ["workflow.step.failed"]),
        ("message.*", []),
        ("task.*,task.queued", ["task.queued", "task.failed"]),
        ("task.queued&types=session.*", ["session.created", "task.queued"]),
    ],
)
def test_events_are_narrowed_by_names_and_patterns(quiet, types, expected):
    write(quiet.org, "session.created", "task.queued", "workflow.started", "workflow.step.failed", "task.failed")
    relay.drain()
    assert [kind for _, kind in read(quiet, f"?types={types}")] == expected


@pytest.mark.parametrize(
    "types", ["", "nonsense", "task", "task.", "tas*", "task.q*", "**", ",", "task.queued,", "*.queued"]
)
def test_a_type_that_means_nothing_is_a_400(quiet, types):
    response = quiet.get(f"/events?types={types}")
    assert (response.status_code, response.json()["code"]) == (400, "validation_failed")
    assert response.json()["details"][0]["field"] == "types"


def test_a_refusal_names_what_means_nothing(quiet):
    document = quiet.get("/events?types=task.queued,tas*,workflow.*,nonsense").json()
    message = "'tas*', 'nonsense' are not event types"
    assert document["details"] == [{"field": "types", "message": message}]
    assert document["error"] == f"types: {message}"


def test_what_is_live_only_cannot_be_read(quiet):
    assert quiet.get("/events?types=message.delta").status_code == 400


@pytest.mark.parametrize("after", ["", "-1", "abc", "1.5", "%00", "9" * 19, "1e3", "%D9%A3", "1%0A"])
def test_a_bad_after_is_a_400(quiet, after):
    response = quiet.get(f"/events?after={after}")
    assert (response.status_code, response.json()["code"]) == (400, "validation_failed")
    assert response.json()["details"][0]["field"] == "after"


def test_pages_of_events_are_walked_in_order(quiet):
    write(quiet.org, *["task.progress"] * 7)
    relay.drain()
    found, cursor = [], ""
    while cursor is not None:
        document = quiet.get(f"/events?limit=3{cursor}").json()
        found += [event["sequence"] for event in document["events"]]
        after = document["pagination"]["nextCursor"]
        cursor = after and f"&cursor={after}"
        if len(found) == 3:
            write(quiet.org, "task.progress")
            relay.drain()
    assert found == list(range(found[0], found[0] + 8))


def test_a_stranger_reads_none_of_it(quiet, charlie):
    write(quiet.org, "task.queued")
    Event.objects.filter(org=charlie.org).delete()
    relay.drain()
    assert read(charlie) == []
    assert len(read(quiet)) == 1


def test_the_life_of_a_message_is_told_in_order(quiet):
    world = World(quiet)
    message = world["message"]
    answer(world["agent"], "hi")
    relay.drain()
    events = quiet.get("/events").json()["events"]
    assert [event["eventType"] for event in events] == [
        "agent.registered",
        "session.created",
        "message.queued",
        "task.queued",
        "task.started",
        "message.started",
        "task.completed",
        "message.completed",
    ]
    assert all(event["data"]["messageId"] == message for event in events[2:])
    first = events[0]["sequence"]
    assert [event["sequence"] for event in events] == list(range(first, first + 8))
