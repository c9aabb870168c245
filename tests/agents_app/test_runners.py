"""An agent that is worked by its user's own process: lease, progress, complete, fail."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections
from django.db.models.functions import Now

from agents_app import leases
from agents_app.executor import recover
from agents_app.models import Agent, Task
from taskmaster.core.clock import now
from tests.api.working import told
from tests.api.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(alice):
    return World(alice)


@pytest.fixture
def runner(world):
    return world.runner


def submit(alice, runner, **fields):
    body = {"type": "t", "description": "do it"} | fields
    return alice.post(f"/agents/{runner}/tasks", body).json()["taskId"]


def lease(alice, runner):
    return alice.post(f"/agents/{runner}/lease", {"wait": 0}).json()


def report(alice, leased, what, **body):
    return alice.post(f"/tasks/{leased['task']['id']}/{what}", {"leaseToken": leased["leaseToken"]} | body)


def test_an_empty_queue_is_no_task(alice, runner):
    answer = alice.post(f"/agents/{runner}/lease")
    assert answer.status_code == 200
    assert answer.json()["data"] == {"task": None, "leaseToken": None, "leaseExpiresAt": None}


def test_a_lease_is_the_task_and_the_right_to_end_it(alice, org, runner):
    task = submit(alice, runner, requirements=["fast"], context={"b": 1})
    leased = lease(alice, runner)
    assert leased["task"]["id"] == task
    assert (leased["task"]["status"], leased["task"]["attempts"]) == ("running", 1)
    assert leased["task"]["requirements"] == ["fast"]
    done = report(alice, leased, "complete", result={"n": 1, "content": "x", "tokensUsed": 7})
    assert done.status_code == 200
    stored = alice.get(f"/tasks/{task}").json()["task"]
    assert (stored["status"], stored["result"]) == ("completed", {"n": 1, "content": "x", "tokensUsed": 7})
    assert Task.objects.get(pk=task).tokens_used == 7
    assert [kind for kind, _ in told(org, "task.")] == ["task.queued", "task.started", "task.completed"]


@pytest.mark.parametrize("what", ["progress", "complete", "fail"])
def test_a_wrong_a_used_and_a_late_token_change_nothing(alice, org, runner, what):
    bodies = {"progress": {"progress": 0.5}, "complete": {"result": {}}, "fail": {"error": "x"}}
    submit(alice, runner)
    leased = lease(alice, runner)
    wrong = report(alice, leased | {"leaseToken": "wrong"}, what, **bodies[what])
    assert (wrong.status_code, wrong.json()["code"]) == (409, "lease_lost")
    Task.objects.update(lease_expires_at=Now() - timedelta(seconds=1))
    leases.reap()
    assert report(alice, leased, what, **bodies[what]).status_code == 409
    again = lease(alice, runner)
    assert report(alice, leased, what, **bodies[what]).status_code == 409
    assert report(alice, again, "complete", result={"n": 2}).status_code == 200
    assert report(alice, again, what, **bodies[what]).status_code == 409
    assert Task.objects.get().result == {"n": 2}
    assert [kind for kind, _ in told(org, "task.completed", "task.failed", "task.progress")] == ["task.completed"]


def test_progress_renews_the_lease_and_is_shown(alice, runner):
    submit(alice, runner)
    leased = lease(alice, runner)
    Task.objects.update(lease_expires_at=Now() + timedelta(seconds=1))
    Agent.objects.filter(pk=runner).update(last_heartbeat=None)
    answer = report(alice, leased, "progress", progress=0.5, message="half").json()
    assert answer["cancelled"] is False
    assert Task.objects.get().lease_expires_at > now() + timedelta(seconds=30)
    (current,) = alice.get(f"/agents/{runner}/status").json()["status"]["currentTasks"]
    assert current["progress"] == 0.5
    assert Agent.objects.get(pk=runner).last_heartbeat is not None, "who reports is there"


def test_a_cancelled_task_tells_its_runner(alice, runner):
    task = submit(alice, runner)
    leased = lease(alice, runner)
    alice.post(f"/tasks/{task}/cancel")
    assert report(alice, leased, "progress", progress=0.9).json()["cancelled"] is True
    assert report(alice, leased, "complete", result={}).status_code == 409
    assert report(alice, leased, "fail", error="x").status_code == 409
    assert alice.get(f"/tasks/{task}").json()["task"]["status"] == "cancelled"


def test_a_failure_is_final_unless_it_is_retryable(alice, runner):
    task = submit(alice, runner)
    assert report(alice, lease(alice, runner), "fail", error="again", retryable=True).status_code == 200
    assert alice.get(f"/tasks/{task}").json()["task"]["status"] == "queued"
    assert lease(alice, runner)["task"] is None, "it waits a moment"
    Task.objects.update(not_before=None)
    report(alice, lease(alice, runner), "fail", error="no good")
    stored = alice.get(f"/tasks/{task}").json()["task"]
    assert (stored["status"], stored["error"], stored["attempts"]) == ("failed", "no good", 2)


def test_a_messages_answer_is_the_results_content_and_the_runner_sees_the_conversation(alice, runner):
    session = alice.post("/sessions", {"agentType": "custom", "agentId": runner}).json()["session"]["id"]
    for turn in ("first", "second"):
        alice.post(f"/sessions/{session}/messages", {"content": turn})
    first = lease(alice, runner)
    assert (first["task"]["description"], first["task"]["messages"]) == ("first", [])
    assert lease(alice, runner)["task"] is None, "one at a time"
    report(alice, first, "complete", result={"content": "answer 1"})
    second = lease(alice, runner)
    assert second["task"]["messages"] == [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "answer 1"},
    ]
    messages = alice.get(f"/sessions/{session}/messages").json()["messages"]
    assert messages[0]["response"]["content"] == "answer 1"
    assert messages[0]["response"]["metadata"]["backend"] == "runner"


def test_an_agent_without_a_runner_is_offline_and_a_lease_is_a_heartbeat(alice, runner):
    assert alice.get(f"/agents/{runner}").json()["agent"]["status"] == "offline"
    lease(alice, runner)
    shown = alice.get(f"/agents/{runner}").json()["agent"]
    assert shown["status"] == "active"
    assert shown["lastHeartbeat"] is not None
    Agent.objects.filter(pk=runner).update(last_heartbeat=now() - timedelta(seconds=31))
    assert alice.get(f"/agents/{runner}").json()["agent"]["status"] == "offline"
    assert alice.post(f"/agents/{runner}/heartbeat").json()["agent"]["status"] == "active"


def test_only_a_runners_tasks_can_be_leased(alice, echo):
    assert alice.post(f"/agents/{echo}/lease").status_code == 409


def test_our_own_workers_leave_a_runners_tasks_alone(alice, runner):
    from agents_app import dispatch, registry

    submit(alice, runner)
    assert dispatch.agents_with_work() == []
    assert leases.claim(runner, "w", 1, ready=lambda agent: registry.unready(agent) is None).tasks == []


def test_a_restart_leaves_a_runner_what_it_holds(alice, runner):
    submit(alice, runner)
    leased = lease(alice, runner)
    recover()
    assert report(alice, leased, "complete", result={}).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_racing_runners_never_hold_more_than_the_agent_may(alice, runner):
    Agent.objects.filter(pk=runner).update(max_concurrent_tasks=3)
    for _ in range(8):
        submit(alice, runner)

    def take(_):
        try:
            return lease(alice, runner)["task"]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        taken = [task["id"] for task in pool.map(take, range(16)) if task]
    assert len(taken) == len(set(taken)) == 3
