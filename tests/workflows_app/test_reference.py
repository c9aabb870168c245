"""The reference's examples of workflows, as they are written there."""

import re

import pytest

from workflows_app.models import WorkflowStep

pytestmark = pytest.mark.django_db

CREATE = {
    "templateId": "development",
    "workflowData": {
        "name": "User Service Development",
        "context": {"repository": "user-service", "requirements": "Implement authentication system"},
        "stepData": {"analyze_requirements": {"priority": "high"}},
    },
}
START = {"executionContext": {"priority": "high", "timeout": 7_200_000, "notifications": True}}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def workflow(alice):
    return alice.post("/workflows", CREATE).json()["workflowId"]


def test_create_workflow(alice):
    answer = alice.post("/workflows", CREATE)
    told = answer.json()
    assert answer.status_code == 201
    assert answer["Location"] == f"/api/v1/workflows/{told['workflowId']}"
    assert (told["success"], told["status"]) == (True, "created")
    assert told["workflowId"].startswith("workflow_")
    assert type(told["estimatedDuration"]) is int
    assert told["estimatedDuration"] > 0


def test_get_workflow(alice, workflow):
    told = alice.get(f"/workflows/{workflow}").json()["workflow"]
    assert (told["id"], told["templateId"], told["name"], told["status"]) == (
        workflow,
        "development",
        "User Service Development",
        "created",
    )
    assert TIME.fullmatch(told["createdAt"])
    assert told["startedAt"] is None
    assert told["context"] == CREATE["workflowData"]["context"]
    assert [step["id"] for step in told["steps"]] == [
        "analyze_requirements",
        "create_tasks",
        "implement_code",
        "run_tests",
        "review",
    ]
    assert told["steps"][0]["name"] == "Analyze Requirements"
    for step in told["steps"]:
        assert (step["status"], step["result"], step["progress"]) == ("pending", None, 0)


def test_start_pause_and_resume_workflow(alice, workflow):
    started = alice.post(f"/workflows/{workflow}/start", START).json()
    assert (started["success"], started["message"]) == (True, "Workflow started")
    paused = alice.post(f"/workflows/{workflow}/pause").json()
    assert (paused["success"], paused["message"]) == (True, "Workflow paused")
    resumed = alice.post(f"/workflows/{workflow}/resume").json()
    assert (resumed["success"], resumed["message"]) == (True, "Workflow resumed")
    told = alice.get(f"/workflows/{workflow}").json()["workflow"]
    assert told["status"] == "running"
    for answer, member in ((started, "startedAt"), (paused, "pausedAt"), (resumed, "resumedAt")):
        assert TIME.fullmatch(answer[member])
        assert told[member] == answer[member]
    assert told["executionContext"] == START["executionContext"]


def test_a_started_workflow_shows_a_number_and_a_result_of_every_step(alice, workflow):
    alice.post(f"/workflows/{workflow}/start", START)
    WorkflowStep.objects.filter(workflow=workflow, key="analyze_requirements").update(
        status="completed", result={"content": "x"}
    )
    steps = alice.get(f"/workflows/{workflow}").json()["workflow"]["steps"]
    assert steps[0]["result"] == {"content": "x"}
    assert [type(step["progress"]) for step in steps] == [float] * 5
    assert steps[0]["progress"] == 1.0
    assert all("result" in step for step in steps)


def test_an_action_on_a_workflow_takes_an_empty_body(alice, workflow):
    assert alice.post(f"/workflows/{workflow}/start").status_code == 200
    told = alice.get(f"/workflows/{workflow}").json()["workflow"]
    assert told["executionContext"] == {"priority": None, "timeout": None, "notifications": True}


@pytest.mark.parametrize("key", ["development", "pr_validation", "bug_fix"])
def test_the_built_in_templates_are_there_and_nobody_can_take_their_ids(alice, key):
    shown = alice.get(f"/workflow-templates/{key}").json()["template"]
    assert (shown["id"], shown["builtIn"], shown["createdAt"]) == (key, True, None)
    assert type(shown["version"]) is int
    steps = [{"id": "a", "name": "A", "type": "agent", "prompt": "x"}]
    answer = alice.post("/workflow-templates", {"id": key, "name": "Mine", "steps": steps})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert alice.call("PUT", f"/workflow-templates/{key}", {"name": "Mine", "steps": steps}).status_code == 404
    assert alice.delete(f"/workflow-templates/{key}").status_code == 404
    made = alice.post("/workflows", {"templateId": key})
    assert (made.status_code, made.json()["workflow"]["name"]) == (201, shown["name"])
