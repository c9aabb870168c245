"""The catalogue: the contract's types, and schemas that take what is right and nothing else."""

import pytest
from django.db import transaction
from jsonschema import Draft202012Validator

from agents_app.models import AGENT_TYPES, PRIORITIES, Agent
from agents_app.models.action import KINDS, RISKS
from taskmaster.events.catalogue import CATALOGUE, EVENT_TYPES, LIVE_TYPES, schema
from taskmaster.events.log import record
from taskmaster.events.models import Event

from .catalogued import complaints

CONTRACT = """
session.created session.expired session.deleted
message.queued message.started message.completed message.failed message.cancelled
task.queued task.started task.progress task.completed task.failed task.cancelled task.retrying task.waiting
action.pending action.confirmed action.denied action.expired
agent.registered agent.status agent.error
workflow.created workflow.started workflow.paused workflow.resumed workflow.completed workflow.failed
workflow.cancelled workflow.finished
workflow.step.started workflow.step.completed workflow.step.failed workflow.step.skipped workflow.step.waiting
webhook.disabled webhook.test budget.reached
"""
TASK = {"taskId": "task_1", "agentId": "agent_1", "type": "code_generation"}
COMPLETED = TASK | {"result": {"content": "done", "anything": [None]}, "duration": 1500}
PENDING = {
    "actionId": "action_1",
    "kind": "tool",
    "tool": None,
    "risk": "high",
    "sessionId": None,
    "workflowId": None,
    "taskId": None,
    "messageId": None,
    "input": {},
    "diff": None,
    "expiresAt": None,
}


def members(described, path=""):
    """(path, schema) of every member of an object, and of theirs."""
    for name, member in described.get("properties", {}).items():
        yield f"{path}{name}", member
        yield from members(member, f"{path}{name}.")


def test_the_types_are_the_contracts():
    assert set(CONTRACT.split()) == EVENT_TYPES
    assert {"message.delta"} == LIVE_TYPES
    assert set(CATALOGUE) == EVENT_TYPES | LIVE_TYPES


@pytest.mark.parametrize("kind", CATALOGUE)
def test_a_schema_is_one_and_is_closed(kind):
    made = schema(kind)
    Draft202012Validator.check_schema(made)
    assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert (made["title"], made["additionalProperties"]) == (kind, False)
    assert all(member["description"].endswith(".") for _, member in members(made))


@pytest.mark.parametrize("kind", CATALOGUE)
def test_the_example_of_a_type_is_one(kind):
    assert complaints(kind, CATALOGUE[kind].example()["data"]) == []


@pytest.mark.parametrize("kind", CATALOGUE)
def test_the_example_of_each_field_is_one(kind):
    for _, member in members(schema(kind)):
        (example,) = member["examples"]
        Draft202012Validator(member).validate(example)


@pytest.mark.parametrize("kind", CATALOGUE)
def test_a_field_too_many_or_too_few_is_refused(kind):
    data = CATALOGUE[kind].example()["data"]
    assert complaints(kind, data | {"surprise": 1}) != []
    for name in data:
        assert complaints(kind, {key: value for key, value in data.items() if key != name}) != [], name


def test_what_is_given_out_may_be_changed():
    schema("message.completed")["properties"]["response"]["required"].clear()
    CATALOGUE["message.completed"].example()["data"]["response"].clear()
    assert schema("message.completed")["properties"]["response"]["required"] == ["type", "content", "metadata"]
    assert complaints("message.completed", CATALOGUE["message.completed"].example()["data"]) == []


def test_the_references_example_is_complete_but_for_the_tasks_type():
    data = {"taskId": "task_123456789", "agentId": "agent_123456789", "result": {}, "duration": 1500}
    assert complaints("task.completed", data) == ["task.completed: $: 'type' is a required property"]


@pytest.mark.parametrize(
    ("kind", "data", "change", "wrong"),
    [
        ("task.completed", COMPLETED, {}, None),
        ("task.completed", COMPLETED, {"sessionId": "session_1", "messageId": "msg_1", "workflowId": "w"}, None),
        ("task.completed", COMPLETED, {"sessionId": None}, "sessionId"),
        ("task.completed", COMPLETED, {"duration": -1}, "duration"),
        ("task.completed", COMPLETED, {"duration": 1.5}, "duration"),
        ("task.completed", COMPLETED, {"duration": None}, "duration"),
        ("task.completed", COMPLETED, {"result": "done"}, "result"),
        ("task.completed", COMPLETED, {"taskId": 7}, "taskId"),
        ("task.queued", TASK, {"priority": "urgent"}, None),
        ("task.queued", TASK, {"priority": "Urgent"}, "priority"),
        ("task.progress", TASK, {"progress": 1, "message": ""}, None),
        ("task.progress", TASK, {"progress": 1.01, "message": ""}, "progress"),
        ("task.progress", TASK, {"progress": True, "message": ""}, "progress"),
        ("action.pending", PENDING, {}, None),
        ("action.pending", PENDING, {"expiresAt": "2024-01-01T00:00:00.000Z"}, None),
        ("action.pending", PENDING, {"expiresAt": "2024-01-01 00:00"}, "expiresAt"),
        ("action.pending", PENDING, {"kind": None}, "kind"),
    ],
)
def test_values_have_the_types_that_are_said(kind, data, change, wrong):
    places = {complaint.split(": ")[1] for complaint in complaints(kind, data | change)}
    assert places == ({f"$.{wrong}"} if wrong else set())


def test_a_response_is_described_to_its_metadata_which_may_grow():
    data = CATALOGUE["message.completed"].example()["data"]
    data["response"]["metadata"] |= {"cached": True, "model": None}
    assert complaints("message.completed", data) == []
    data["response"]["metadata"]["truncated"] = None
    data["response"]["more"] = 1
    places = {complaint.split(": ")[1] for complaint in complaints("message.completed", data)}
    assert places == {"$.response", "$.response.metadata.truncated"}


def test_enumerations_are_those_of_the_models():
    said = {f"{kind} {path}": member.get("enum") for kind in CATALOGUE for path, member in members(schema(kind))}
    assert said["task.queued priority"] == list(PRIORITIES)
    assert said["action.pending kind"] == list(KINDS)
    assert said["action.expired risk"] == list(RISKS)
    assert said["session.created agentType"] == said["agent.registered type"] == list(AGENT_TYPES)
    decided = {Agent.ACTIVE, Agent.PAUSED, Agent.DRAINING, Agent.ERROR}
    assert set(said["agent.status status"]) == decided | {"offline"}


@pytest.mark.parametrize(
    "data", [{}, {"sessionId": None}, {"sessionId": "session_1", "extra": 1}], ids=["missing", "null", "extra"]
)
def test_in_tests_an_event_that_is_not_as_described_is_refused_and_remembered(org, catalogued, data):
    with transaction.atomic(), pytest.raises(AssertionError, match="catalogue"):
        record(org.pk, ("session.deleted", {"sessionId": "session_0"}), ("session.deleted", data))
    assert [complaint.split(":")[0] for complaint in catalogued.seen] == ["session.deleted"]
    assert not Event.objects.filter(event_type="session.deleted").exists()
    catalogued.seen.clear()
