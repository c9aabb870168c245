"""Workflows from their start to their end."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from agents_app import actions, leases
from agents_app.models import Action, Task
from taskmaster.core.clock import iso
from tests.api.working import told
from workflows_app import engine, lifecycle, waking
from workflows_app.models import StepAttempt, Workflow, WorkflowStep

from .working import Runs, agent, step

pytestmark = pytest.mark.django_db


@pytest.fixture
def runs(alice):
    return Runs(alice)


def due(workflow):
    """As if what waits had waited long enough."""
    WorkflowStep.objects.filter(workflow=workflow, wake_at__isnull=False).update(wake_at=Now() - timedelta(seconds=1))
    waking.sweep()


def test_a_chain_runs_step_by_step_and_hands_results_on(runs, org):
    workflow = runs.started(
        agent("a", prompt="Look at {{ context.repository }}"),
        agent("b", "a", prompt="Then: {{ steps.a.result.content }}"),
        context={"repository": "user-service"},
    )
    assert runs.states(workflow) == {"a": "running", "b": "pending"}
    assert runs.running()["a"].description == "Look at user-service"
    runs.complete("a")
    assert runs.states(workflow) == {"a": "completed", "b": "running"}
    assert runs.running()["b"].description == "Then: a done"
    runs.complete("b")
    shown = runs.shown(workflow)
    assert (shown["status"], shown["progress"], shown["error"]) == ("completed", 1.0, None)
    assert [(s["id"], s["status"], s["result"]["content"]) for s in shown["steps"]] == [
        ("a", "completed", "a done"),
        ("b", "completed", "b done"),
    ]
    assert [kind for kind, _ in told(org, "workflow.")] == [
        "workflow.created",
        "workflow.started",
        "workflow.step.started",
        "workflow.step.completed",
        "workflow.step.started",
        "workflow.step.completed",
        "workflow.completed",
        "workflow.finished",
    ]


def test_a_diamond_joins_once(runs):
    workflow = runs.started(agent("a"), agent("b", "a"), agent("c", "a"), agent("d", "b", "c"))
    runs.complete("a")
    assert runs.states(workflow) == {"a": "completed", "b": "running", "c": "running", "d": "pending"}
    runs.complete("b")
    assert runs.states(workflow)["d"] == "pending"
    runs.complete("c")
    assert runs.states(workflow)["d"] == "running"
    runs.complete("d")
    assert runs.shown(workflow)["status"] == "completed"
    assert StepAttempt.objects.filter(step__key="d").count() == 1


def test_a_failed_branch_skips_its_dependents_and_the_others_go_on(runs):
    workflow = runs.started(agent("a"), agent("b", "a"), agent("c", "b"), agent("x"), agent("y", "x"))
    runs.fail("a", "no such file")
    assert runs.states(workflow) == {
        "a": "failed",
        "b": "skipped",
        "c": "skipped",
        "x": "running",
        "y": "pending",
    }
    runs.complete("x")
    runs.complete("y")
    shown = runs.shown(workflow)
    assert (shown["status"], shown["error"]) == ("failed", "A: no such file")
    assert shown["steps"][0]["error"] == "no such file"


def test_a_failure_that_may_be_passed_over_is(runs):
    workflow = runs.started(agent("a", onFailure="continue"), agent("b", "a"))
    runs.fail("a")
    runs.complete("b")
    assert runs.shown(workflow)["status"] == "completed"


def test_a_condition_decides_which_arm_runs_and_the_join_runs_once(runs):
    workflow = runs.started(
        agent("a"),
        step("check", "condition", "a", expression="steps.a.result.score > 5"),
        agent("good", "check"),
        agent("bad", "check", when="not steps.check.result.value"),
        agent("join", "good", "bad"),
    )
    runs.complete("a", score=3)
    assert runs.states(workflow) == {
        "a": "completed",
        "check": "completed",
        "good": "skipped",
        "bad": "running",
        "join": "pending",
    }
    runs.complete("bad")
    runs.complete("join")
    assert runs.shown(workflow)["status"] == "completed"


def test_retries_pause_longer_each_time_and_then_fail(runs):
    workflow = runs.started(agent("a", retries=2, retryDelay=1_000))
    pauses = []
    for _ in range(2):
        runs.fail("a")
        waiting = WorkflowStep.objects.get(workflow=workflow)
        assert waiting.status == "waiting"
        pauses.append(round((waiting.wake_at - StepAttempt.objects.latest("number").finished_at).total_seconds()))
        assert runs.shown(workflow)["steps"][0]["error"] == "it broke"
        due(workflow)
        assert runs.shown(workflow)["steps"][0]["error"] is None
    assert pauses == [1, 2]
    runs.fail("a", "for good")
    shown = runs.shown(workflow)
    assert shown["status"] == "failed"
    assert [(a["number"], a["status"], a["error"]) for a in shown["steps"][0]["attempts"]] == [
        (1, "failed", "it broke"),
        (2, "failed", "it broke"),
        (3, "failed", "for good"),
    ]


def test_an_approval_waits_and_both_answers_are_heard(runs, alice, org):
    for approved, state, after in ((True, "completed", "running"), (False, "failed", "skipped")):
        workflow = runs.started(
            step("ok", "approval", message="Ship {{ context.x }}?"), agent("b", "ok"), context={"x": 1}
        )
        assert runs.states(workflow) == {"ok": "waiting", "b": "pending"}
        (action,) = alice.get("/actions?status=pending").json()["actions"]
        assert (action["kind"], action["workflowId"], action["input"]["question"]) == ("approval", workflow, "Ship 1?")
        answer = runs.act(workflow, "signal", {"stepId": "ok", "approved": approved, "data": {"by": "hand"}})
        assert answer.status_code == 200, answer.json()
        assert runs.states(workflow) == {"ok": state, "b": after}
        again = runs.act(workflow, "signal", {"stepId": "ok", "approved": not approved})
        assert (again.status_code, again.json()["code"]) == (409, "invalid_state")


def test_an_approval_can_be_decided_as_an_action(runs, alice):
    workflow = runs.started(step("ok", "approval"), agent("b", "ok"))
    (action,) = alice.get("/actions").json()["actions"]
    assert alice.post(f"/actions/{action['id']}/confirm", {"confirmed": True}).status_code == 200
    assert runs.states(workflow) == {"ok": "completed", "b": "running"}


def test_a_signal_before_its_wait_is_kept(runs):
    workflow = runs.started(agent("a"), step("ok", "approval", "a"), agent("b", "ok"))
    assert runs.act(workflow, "signal", {"stepId": "ok", "approved": True, "data": {"x": 1}}).status_code == 200
    assert runs.act(workflow, "signal", {"stepId": "ok", "approved": True}).status_code == 200
    opposite = runs.act(workflow, "signal", {"stepId": "ok", "approved": False})
    assert (opposite.status_code, opposite.json()["error"]) == (409, lifecycle.DECIDED)
    runs.complete("a")
    assert runs.states(workflow) == {"a": "completed", "ok": "completed", "b": "running"}
    result = runs.shown(workflow)["steps"][1]["result"]
    assert (result["approved"], result["data"]) == (True, {"x": 1})
    assert result["decidedBy"].startswith("test (")


def test_an_approval_with_a_timeout_says_when_it_expires(runs, alice):
    workflow = runs.started(step("ok", "approval", timeout=60_000))
    (action,) = alice.get("/actions").json()["actions"]
    assert action["expiresAt"] == iso(WorkflowStep.objects.get(workflow=workflow).wake_at)


def test_a_question_that_expired_before_its_step_did_ends_the_step(runs):
    workflow = runs.started(step("ok", "approval", timeout=60_000))
    Action.objects.update(expires_at=Now() - timedelta(seconds=1))
    actions.expire_due()
    assert runs.act(workflow, "signal", {"stepId": "ok", "approved": True}).status_code == 409
    due(workflow)
    assert runs.shown(workflow)["error"] == "Ok: Nobody decided in time."


def test_a_late_approval_fails_or_passes(runs):
    for on_timeout, state in (("fail", "failed"), ("continue", "completed")):
        workflow = runs.started(step("ok", "approval", timeout=60_000, onTimeout=on_timeout))
        due(workflow)
        assert runs.states(workflow) == {"ok": state}
        assert runs.shown(workflow)["status"] == state


def test_a_wait_ends_when_its_time_has_come(runs):
    workflow = runs.started(step("w", "wait", duration=600_000), agent("b", "w"))
    assert runs.states(workflow) == {"w": "waiting", "b": "pending"}
    waking.sweep()
    assert runs.states(workflow)["w"] == "waiting"
    due(workflow)
    assert runs.states(workflow) == {"w": "completed", "b": "running"}


def test_a_wait_says_until_when_it_waited(runs):
    workflow = runs.started(step("w", "wait", until="2999-01-01T02:00:00+02:00"))
    WorkflowStep.objects.filter(workflow=workflow).update(wake_at="2020-01-01T00:00:00Z")
    waking.sweep()
    assert runs.shown(workflow)["steps"][0]["result"] == {"until": "2020-01-01T00:00:00.000Z"}


@pytest.mark.parametrize("typed", ["2030-02-31T00:00:00Z", "9999-12-31T23:59:59-12:00", "2030-01-01", "soon", "", None])
def test_a_wait_until_no_moment_fails_with_the_reason(runs, typed):
    workflow = runs.started(step("w", "wait", until="{{ context.at }}"), context={"at": typed})
    assert runs.shown(workflow)["error"] == f"W: until: {typed or ''!r} is not an ISO 8601 time with a time zone"


def test_a_step_that_ends_at_once_has_a_time_too(runs):
    (shown,) = runs.shown(runs.started(step("c", "condition", expression="true")))["steps"]
    assert (shown["status"], shown["startedAt"], shown["duration"]) == ("completed", shown["finishedAt"], 0)


def test_a_foreach_runs_so_many_at_a_time_and_gathers(runs):
    inner = {"type": "agent", "agentType": "custom", "prompt": "{{ index }}: {{ item.name }}"}
    each = step("each", "foreach", "a", items="steps.a.result.tasks", parallel=2, step=inner)
    workflow = runs.started(agent("a"), each, agent("z", "each"))
    runs.complete("a", tasks=[{"name": name} for name in ("x", "y", "z")])
    first = list(Task_of(runs))
    assert sorted(task.description for task in first) == ["0: x", "1: y"]
    finish(first[0], 0)
    assert sorted(task.description for task in Task_of(runs)) == ["1: y", "2: z"]
    for number, task in enumerate(Task_of(runs), 1):
        finish(task, number)
    states = runs.states(workflow)
    assert (states["each"], states["z"]) == ("completed", "running")
    result = runs.shown(workflow)["steps"][1]["result"]
    assert [item["n"] for item in result["items"]] == [0, 1, 2]


def Task_of(runs):
    from agents_app import leases

    runs.running()
    return leases.held().filter(agent=runs.agent).select_related("agent").order_by("id")


def finish(task, number):
    from agents_app import leases

    assert leases.complete(task, result={"content": "x", "n": number})


def test_an_empty_foreach_is_done_at_once(runs):
    inner = {"type": "agent", "agentType": "custom", "prompt": "x"}
    workflow = runs.started(step("each", "foreach", items="context.none", step=inner), context={"none": []})
    shown = runs.shown(workflow)
    assert (shown["status"], shown["steps"][0]["result"]) == ("completed", {"items": [], "failed": []})


def test_an_item_that_failed_is_tried_again_after_its_pause(runs):
    inner = {"agentType": "custom", "prompt": "x", "retries": 1, "retryDelay": 60_000}
    runs.started(step("each", "foreach", items="[1]", step=inner))
    runs.fail("each")
    assert runs.running() == {}
    again = Task.objects.get(status="queued")
    assert timedelta(seconds=59) < again.not_before - again.created_at < timedelta(seconds=61)
    Task.objects.update(not_before=Now() - timedelta(seconds=1))
    assert list(runs.running()) == ["each"]


def test_paused_nothing_starts_and_what_runs_finishes(runs):
    workflow = runs.started(agent("a"), agent("b", "a"))
    assert runs.act(workflow, "pause").status_code == 200
    runs.complete("a")
    assert runs.states(workflow) == {"a": "completed", "b": "pending"}
    assert runs.act(workflow, "pause").status_code == 409
    assert runs.act(workflow, "resume").status_code == 200
    assert runs.states(workflow) == {"a": "completed", "b": "running"}
    assert runs.act(workflow, "resume").status_code == 409


def test_the_last_step_ends_while_paused_and_resuming_completes(runs):
    workflow = runs.started(agent("a"))
    runs.act(workflow, "pause")
    runs.complete("a")
    assert runs.shown(workflow)["status"] == "paused"
    runs.act(workflow, "resume")
    assert runs.shown(workflow)["status"] == "completed"


def test_cancel_ends_steps_tasks_and_questions(runs, alice, org):
    workflow = runs.started(agent("a"), step("ok", "approval"), agent("b", "a"))
    task = runs.running()["a"]
    assert runs.act(workflow, "cancel").status_code == 200
    assert set(runs.states(workflow).values()) == {"cancelled"}
    assert alice.get(f"/tasks/{task.pk}").json()["task"]["status"] == "cancelled"
    assert alice.get("/actions").json()["actions"][0]["status"] == "expired"
    assert runs.act(workflow, "cancel").status_code == 409
    assert [kind for kind, _ in told(org, "workflow.cancelled", "workflow.finished")] == [
        "workflow.cancelled",
        "workflow.finished",
    ]


def test_retry_runs_the_failed_steps_again_and_keeps_the_rest(runs):
    workflow = runs.started(agent("a"), agent("b", "a"), agent("c", "b"))
    runs.complete("a")
    runs.fail("b")
    assert runs.shown(workflow)["status"] == "failed"
    assert runs.act(workflow, "retry").status_code == 200
    assert runs.states(workflow) == {"a": "completed", "b": "running", "c": "pending"}
    runs.complete("b")
    runs.complete("c")
    shown = runs.shown(workflow)
    assert shown["status"] == "completed"
    assert [len(s["attempts"]) for s in shown["steps"]] == [1, 2, 1]
    assert runs.act(workflow, "retry").status_code == 409


def test_retry_from_a_step_runs_all_that_follows_it(runs):
    workflow = runs.started(agent("a"), agent("b", "a"), agent("x"), agent("c", "b", "x"))
    runs.complete("a", "b", "x")
    runs.fail("c")
    assert runs.act(workflow, "retry", {"fromStep": "nowhere"}).status_code == 400
    assert runs.act(workflow, "retry", {"fromStep": "b"}).status_code == 200
    assert runs.states(workflow) == {"a": "completed", "b": "running", "x": "completed", "c": "pending"}


def test_a_retried_foreach_runs_only_the_items_that_have_not_completed(runs):
    inner = {"agentType": "custom", "prompt": "{{ item }}"}
    workflow = runs.started(step("each", "foreach", items='["x", "y", "z"]', parallel=3, step=inner))
    for task, ends in zip(Task_of(runs), (0, None, 2), strict=True):
        assert (
            leases.fail(task, error="no", code="refused") if ends is None else leases.complete(task, result={"n": ends})
        )
    assert runs.shown(workflow)["error"] == "Each: item 1: no"
    runs.act(workflow, "retry")
    (again,) = Task_of(runs)
    assert again.description == "y"
    finish(again, 1)
    (shown,) = runs.shown(workflow)["steps"]
    assert (shown["status"], [item["n"] for item in shown["result"]["items"]]) == ("completed", [0, 1, 2])


def test_retrying_from_a_foreach_runs_all_of_its_items(runs):
    inner = {"agentType": "custom", "prompt": "{{ item }}"}
    workflow = runs.started(step("each", "foreach", items='["x", "y"]', step=inner), agent("b", "each"))
    for number, task in enumerate(Task_of(runs)):
        finish(task, number)
    runs.fail("b")
    runs.act(workflow, "retry", {"fromStep": "each"})
    assert [task.description for task in Task_of(runs)] == ["x", "y"]


def test_retry_from_a_step_leaves_nothing_as_it_was_called_off(runs):
    workflow = runs.started(agent("a"), agent("b"), agent("c", "a", "b"))
    runs.complete("a")
    runs.late(workflow)
    waking.sweep()
    shown = runs.shown(workflow)
    assert (shown["status"], shown["progress"]) == ("failed", 0.3333)
    assert runs.states(workflow) == {"a": "completed", "b": "cancelled", "c": "cancelled"}
    assert runs.act(workflow, "retry", {"fromStep": "a"}).status_code == 200
    assert runs.states(workflow) == {"a": "running", "b": "running", "c": "pending"}
    runs.complete("a", "b", "c")
    assert (runs.shown(workflow)["status"], runs.shown(workflow)["progress"]) == ("completed", 1.0)


def test_progress_tells_how_far_a_cancelled_one_came(runs):
    workflow = runs.started(agent("a"), agent("b", "a"))
    runs.complete("a")
    runs.act(workflow, "cancel")
    assert runs.shown(workflow)["progress"] == 0.5


def test_a_run_that_takes_too_long_fails_and_paused_time_does_not_count(runs):
    workflow = runs.made(agent("a"), agent("b", "a"))
    runs.act(workflow, "start", {"executionContext": {"timeout": 3_600_000, "priority": "urgent"}})
    assert runs.running()["a"].priority_name == "urgent"
    before = Workflow.objects.get(pk=workflow).deadline_at
    runs.act(workflow, "pause")
    Workflow.objects.update(paused_at=Now() - timedelta(minutes=10))
    runs.act(workflow, "resume")
    assert Workflow.objects.get(pk=workflow).deadline_at - before > timedelta(minutes=9)
    Workflow.objects.update(deadline_at=Now() - timedelta(seconds=1))
    waking.sweep()
    shown = runs.shown(workflow)
    assert (shown["status"], shown["error"]) == ("failed", waking.TOO_LONG)
    assert set(runs.states(workflow).values()) == {"cancelled"}


def test_advancing_again_and_again_changes_nothing(runs):
    workflow = runs.started(agent("a"), agent("b", "a"))
    for _ in range(3):
        engine.advance(workflow)
        waking.sweep()
    assert runs.states(workflow) == {"a": "running", "b": "pending"}
    assert StepAttempt.objects.count() == 1


def test_no_agent_is_a_failed_step_with_the_reason(runs):
    workflow = runs.started(agent("a", capabilities=["painting"]))
    shown = runs.shown(workflow)
    assert shown["status"] == "failed"
    assert "painting" in shown["steps"][0]["error"]


def test_step_data_overrides(runs):
    workflow = runs.started(agent("a"), stepData={"a": {"priority": "high", "prompt": "other"}})
    task = runs.running()["a"]
    assert (task.priority_name, task.description) == ("high", "other")
    assert workflow


def test_another_organizations_workflow_is_not_found(runs, charlie):
    workflow = runs.started(agent("a"))
    assert charlie.get(f"/workflows/{workflow}").status_code == 404
    for verb in ("start", "pause", "resume", "cancel", "retry"):
        assert charlie.post(f"/workflows/{workflow}/{verb}").status_code == 404


def test_an_agent_that_cannot_run_code_has_not_run_it_whatever_it_says(runs):
    claim = {"executed": True, "tests": [{"name": "t", "passed": True}]}
    for backend, executed in (("local", False), ("runner", True)):
        workflow = runs.started(agent("a", executes=True))
        assert leases.complete(runs.running()["a"], result={"content": "x", "json": claim}, backend=backend)
        result = runs.shown(workflow)["steps"][0]["result"]
        assert (result["executed"], result["json"]["executed"]) == (executed, executed)
