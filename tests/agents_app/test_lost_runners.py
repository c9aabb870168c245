"""A runner that is not heard of for thirty seconds is gone, and what it held goes to another at once."""

from datetime import timedelta

import pytest

from agents_app import presence, tasks
from agents_app.models import Agent, Task
from agents_app.runner_views import lease_wait
from taskmaster.core.clock import now
from tests.api.racing import at_once
from tests.api.working import claim, told
from tests.api.world import World, stored

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(alice):
    return World(alice)


def heard(agent, *, seconds_ago):
    Agent.objects.filter(pk=agent).update(last_heartbeat=now() - timedelta(seconds=seconds_ago))


def status(alice, world):
    return alice.get(f"/agents/{world.runner}").json()["agent"]["status"]


def test_it_is_offline_and_what_it_held_is_leased_by_another(alice, org, world):
    held = world.leased_task
    heard(world.runner, seconds_ago=31)
    assert status(alice, world) == "offline"
    tasks.sweep()
    row = Task.objects.get(pk=held)
    assert (row.status, row.lease, row.lost, row.attempts) == ("queued", "", 1, 1)
    again = alice.post(f"/agents/{world.runner}/lease").json()
    assert (again["task"]["id"], again["task"]["attempts"]) == (held, 2)
    assert status(alice, world) == "active"
    ((_, data),) = told(org, "task.retrying")
    assert (data["taskId"], data["error"], data["retryAfter"]) == (held, "The worker was lost.", 0)


@pytest.mark.parametrize("what", ["progress", "complete", "fail"])
def test_what_it_says_when_it_comes_back_late_changes_nothing(alice, world, what):
    late = world.lease
    heard(world.runner, seconds_ago=31)
    tasks.sweep()
    alice.post(f"/agents/{world.runner}/lease")
    before = stored()
    body = {"leaseToken": late["leaseToken"], "progress": 0.5, "result": {}, "error": "x"}
    answer = alice.post(f"/tasks/{late['task']['id']}/{what}", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "lease_lost")
    assert stored()["Task"] == before["Task"]


def test_two_missed_beats_are_forgiven(alice, world):
    held = world.leased_task
    heard(world.runner, seconds_ago=28)
    tasks.sweep()
    assert Task.objects.get(pk=held).status == "running"
    assert status(alice, world) == "active"


def test_only_its_own_agent_loses_what_it_holds(alice, world):
    other = World(alice)
    theirs, held = other.leased_task, world.leased_task
    heard(world.runner, seconds_ago=31)
    tasks.sweep()
    assert Task.objects.get(pk=held).status == "queued"
    assert Task.objects.get(pk=theirs).status == "running"


def test_a_runner_that_waits_for_work_is_there_for_as_long_as_it_waits(alice, world):
    """Another one of the same agent, busy and silent, keeps its task meanwhile."""
    held = world.leased_task
    wait = lease_wait(world.runner, 30_000, 0.0)
    heard(world.runner, seconds_ago=31)
    assert wait.ended([wait.key]) == set()
    tasks.sweep()
    assert Task.objects.get(pk=held).status == "running"
    assert Agent.objects.get(pk=world.runner).last_heartbeat > now() - timedelta(seconds=5)


def test_waiting_writes_a_beat_now_and_then_only(world):
    assert world.leased_task
    wait = lease_wait(world.runner, 30_000, 0.0)
    heard(world.runner, seconds_ago=5)
    before = Agent.objects.get(pk=world.runner).last_heartbeat
    wait.ended([wait.key])
    assert Agent.objects.get(pk=world.runner).last_heartbeat == before


def began(task, *, milliseconds_ago):
    Task.objects.filter(pk=task).update(started_at=now() - timedelta(milliseconds=milliseconds_ago), timeout=60_000)


def test_one_that_takes_longer_than_its_tasks_timeout_is_told_so(alice, org, world):
    held = world.lease
    task = held["task"]["id"]
    began(task, milliseconds_ago=60_001)
    tasks.sweep()
    shown = alice.get(f"/tasks/{task}").json()["task"]
    assert (shown["status"], shown["error"]) == ("failed", "The agent did not finish within 60000 ms.")
    ((_, data),) = told(org, "task.failed")
    assert (data["taskId"], data["code"]) == (task, "timeout")
    for what, body in (("progress", {"progress": 0.5}), ("complete", {"result": {}})):
        late = alice.post(f"/tasks/{task}/{what}", {"leaseToken": held["leaseToken"], **body})
        assert (late.status_code, late.json()["details"]) == (409, [{"field": "status", "message": "failed"}])


def test_one_that_is_within_the_timeout_goes_on(world):
    task = world.leased_task
    began(task, milliseconds_ago=50_000)
    tasks.sweep()
    assert Task.objects.get(pk=task).status == "running"


def test_a_worker_of_ours_keeps_what_it_runs_for_an_agent_that_is_a_runners_by_now(alice, world):
    task_id = world.task
    (task,) = claim(world["agent"])
    alice.patch(f"/agents/{world['agent']}", {"backend": "runner"})
    heard(world["agent"], seconds_ago=31)
    tasks.sweep()
    assert Task.objects.get(pk=task_id).lease == task.lease


def test_the_log_tells_once_that_it_has_gone_and_once_that_it_is_back(alice, org, world):
    agent, gone = world.runner, {"status": "offline", "reason": "No runner is there."}
    back = {"status": "active", "reason": None}
    tasks.sweep()
    assert told(org, "agent.status") == [], "nobody was ever there"
    expected = []
    for seconds, news in [(0, back), (29, None), (31, gone), (900, None), (1, back), (31, gone)]:
        heard(agent, seconds_ago=seconds)
        tasks.sweep()
        tasks.sweep()
        expected += [("agent.status", {"agentId": agent, **news})] if news else []
        assert told(org, "agent.status") == expected


def test_of_a_paused_or_deleted_agent_it_is_not_told_before_it_is_resumed(alice, org, world):
    agent = world.runner
    heard(agent, seconds_ago=0)
    tasks.sweep()
    alice.post(f"/agents/{agent}/pause")
    heard(agent, seconds_ago=31)
    tasks.sweep()
    alice.post(f"/agents/{agent}/resume")
    tasks.sweep()
    assert [data["status"] for _, data in told(org, "agent.status")] == ["active", "paused", "active", "offline"]
    alice.delete(f"/agents/{agent}")
    heard(agent, seconds_ago=0)
    tasks.sweep()
    assert len(told(org, "agent.status")) == 4


@pytest.mark.django_db(transaction=True)
def test_of_many_sweeps_at_once_one_tells(org, world):
    agent = world.runner
    for seconds in (0, 31, 0, 31):
        heard(agent, seconds_ago=seconds)
        at_once(*[presence.tell] * 8)
    assert [data["status"] for _, data in told(org, "agent.status")] == ["active", "offline"] * 2
