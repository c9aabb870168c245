"""The OpenAPI description: valid, with an answer for every route, and with every type of event."""

import pytest
from django.test import Client
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator

from taskmaster.events import relay
from taskmaster.events.catalogue import CATALOGUE, EVENT_TYPES, schema

from .working import answer
from .world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def document():
    return Client().get("/openapi.json").json()


def event_schema(document):
    """The schema of `Event`, by itself: with all that it refers to."""
    return {"$ref": "#/components/schemas/Event", "components": document["components"]}


def test_it_is_valid(document):
    validate_schema(document)


def test_every_answer_of_every_route_is_described(document):
    routes = [(path, method, route) for path, routes in document["paths"].items() for method, route in routes.items()]
    assert routes
    for path, method, route in routes:
        assert {code for code, told in route["responses"].items() if "content" not in told} == set(), (method, path)
    described = document["components"]["schemas"]["Envelope"]["properties"]
    assert list(described) == ["success", "error", "timestamp", "requestId", "data"]


def test_an_event_is_one_of_the_types_told_apart_by_its_event_type(document):
    schemas = document["components"]["schemas"]
    kinds = schemas["Event"]["discriminator"]["mapping"]
    assert schemas["Event"]["discriminator"]["propertyName"] == "eventType"
    assert set(kinds) == EVENT_TYPES
    assert [one["$ref"] for one in schemas["Event"]["oneOf"]] == list(kinds.values())
    for kind, ref in kinds.items():
        described = schemas[ref.rpartition("/")[2]]
        assert described["properties"]["eventType"] == {"type": "string", "const": kind}
        assert described["properties"]["data"] == {k: v for k, v in schema(kind).items() if k != "$schema"}


def test_events_are_listed_as_described(document, alice):
    world = World(alice)
    assert world["message"]
    answer(world["agent"], "hi")
    relay.drain()
    route = document["paths"]["/api/v1/events"]["get"]
    told = route["responses"]["200"]["content"]["application/json"]["schema"]
    page = alice.get("/events").json()
    Draft202012Validator(told | {"components": document["components"]}).validate(page)
    assert {event["eventType"] for event in page["events"]} >= {"task.completed", "message.completed"}
    assert {parameter["name"] for parameter in route["parameters"]} == {"after", "types", "limit", "offset", "cursor"}


def test_an_event_is_shown_as_described(document, alice):
    event = World(alice)["event"]
    told = document["paths"]["/api/v1/events/{id}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    shown = alice.get(f"/events/{event}").json()
    Draft202012Validator(told | {"components": document["components"]}).validate(shown)


def test_the_stream_of_events_is_described(document):
    route = document["paths"]["/api/v1/events/stream"]["get"]
    assert list(route["responses"]["200"]["content"]) == ["text/event-stream"]
    told = {(parameter["name"], parameter["in"]) for parameter in route["parameters"]}
    queries = {(name, "query") for name in ("after", "types", "sessionId", "taskId", "workflowId")}
    assert told == {("Last-Event-ID", "header")} | queries


def test_a_message_and_the_ways_of_getting_its_answer_are_described(document):
    route = document["paths"]["/api/v1/sessions/{session_pk}/messages"]
    answers = {code: set(told["content"]) for code, told in route["post"]["responses"].items()}
    json = {"application/json"}
    assert answers == {"200": json | {"text/event-stream"}, "202": json, "default": json}
    names = {parameter["name"] for parameter in route["post"]["parameters"]}
    assert names == {"session_pk", "Prefer", "Idempotency-Key"}
    statuses = {p["name"]: p["schema"].get("enum") for p in route["get"]["parameters"]}["status"]
    assert set(statuses) == {"queued", "processing", "completed", "failed", "cancelled"}


@pytest.mark.parametrize("change", [{"eventType": "task.exploded"}, {"eventType": "task.failed"}, {"data": {}}])
def test_what_is_no_event_does_not_fit(document, change):
    event = CATALOGUE["task.completed"].example()
    validator = Draft202012Validator(event_schema(document))
    validator.validate(event)
    assert not validator.is_valid(event | change)


def test_what_narrows_lists_of_workflows_is_described(document):
    def names(path):
        return [told["name"] for told in document["paths"][f"/api/v1{path}"]["get"]["parameters"]]

    paging = ["cursor", "limit", "offset"]
    assert sorted(names("/workflows")) == sorted([*paging, "status", "templateId", "scheduleId", "triggerId"])
    assert [sorted(names(path)) for path in ("/schedules", "/triggers", "/workflow-templates")] == [paging] * 3


def test_hooks_are_described_and_need_no_token(document):
    told = document["paths"]["/api/v1/hooks/{id}"]["post"]
    assert (told["security"], list(told["responses"])) == ([], ["202", "default"])
