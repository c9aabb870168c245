"""Five failures in a row: the agent is left alone for a while, and comes back by itself."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from agents_app import dispatch, leases
from agents_app.models import Agent
from taskmaster.core.clock import now
from tests.api.working import answer, break_down, claim, told
from tests.api.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(alice):
    return World(alice)


def fail_five_times(world):
    for number in range(5):
        world.submit()
        break_down(world["agent"], f"broken pipe {number}")


def shown(alice, world):
    return alice.get(f"/agents/{world['agent']}").json()["agent"]


def due(world):
    """As if its pause were over."""
    Agent.objects.filter(pk=world["agent"]).update(retry_at=Now() - timedelta(seconds=1))


def test_the_fifth_failure_in_a_row_sets_it_to_error_with_the_reason(alice, org, world):
    fail_five_times(world)
    assert (shown(alice, world)["status"], shown(alice, world)["reason"]) == ("error", "broken pipe 4")
    ((_, event),) = told(org, "agent.error")
    assert event == {"agentId": world["agent"], "name": "echo", "reason": "broken pipe 4", "failures": 5}
    world.submit()
    assert claim(world["agent"]) == []
    assert dispatch.agents_with_work() == []


def test_a_success_in_between_begins_the_row_anew(alice, world):
    for _ in range(4):
        world.submit()
        break_down(world["agent"])
    world.submit()
    answer(world["agent"])
    world.submit()
    break_down(world["agent"])
    assert shown(alice, world)["status"] != "error"
    assert Agent.objects.get(pk=world["agent"]).failures == 1


def test_it_is_tried_with_one_task_and_a_success_brings_it_back(alice, org, world):
    fail_five_times(world)
    for _ in range(3):
        world.submit()
    due(world)
    assert dispatch.agents_with_work() == [world["agent"]]
    (probe,) = claim(world["agent"], 5)
    assert claim(world["agent"], 5) == []
    leases.complete(probe, result={})
    agent = Agent.objects.get(pk=world["agent"])
    assert (agent.status, agent.failures, agent.retry_at, agent.reason) == ("active", 0, None, "")
    assert [data["status"] for _, data in told(org, "agent.status")] == ["error", "active"]
    assert len(claim(world["agent"], 5)) == 2


def test_a_probe_that_fails_waits_twice_as_long_and_tells_nobody_again(alice, org, world):
    fail_five_times(world)
    first = Agent.objects.get(pk=world["agent"]).retry_at
    world.submit()
    due(world)
    break_down(world["agent"], "still broken")
    agent = Agent.objects.get(pk=world["agent"])
    assert (agent.status, agent.reason) == ("error", "still broken")
    assert agent.retry_at - first > timedelta(seconds=9)
    assert len(told(org, "agent.error")) == 1


def test_what_was_running_when_it_broke_does_not_make_its_pause_longer(alice, org, world):
    alice.patch(f"/agents/{world['agent']}", {"maxConcurrentTasks": 20})
    for _ in range(16):
        world.submit()
    for task in claim(world["agent"], 16):
        leases.fail(task, error="broke", code="agent_failed")
    agent = Agent.objects.get(pk=world["agent"])
    assert (agent.status, agent.failures) == ("error", 5)
    assert agent.retry_at - now() <= timedelta(seconds=10)
    assert len(told(org, "agent.error")) == 1


@pytest.mark.parametrize("code", ["context_too_long", "worker_lost", "budget_reached"])
def test_what_is_not_the_agents_fault_does_not_count(alice, world, code):
    for _ in range(6):
        world.submit()
        break_down(world["agent"], code=code)
    assert Agent.objects.get(pk=world["agent"]).failures == 0


def test_a_passing_failure_counts_and_a_rate_limit_does_not(world):
    assert world["task"]
    pause = timedelta(0)
    (task,) = claim(world["agent"])
    leases.give_back(task, after=pause, error="busy", code="agent_failed")
    assert Agent.objects.get(pk=world["agent"]).failures == 1
    (task,) = claim(world["agent"])
    leases.give_back(task, after=pause, error="slow down", code=leases.LIMITED)
    assert Agent.objects.get(pk=world["agent"]).failures == 1
    task.refresh_from_db()
    assert task.failures == 1


def test_somebody_who_resumes_it_brings_it_back_at_once(alice, world):
    fail_five_times(world)
    alice.post(f"/agents/{world['agent']}/resume")
    world.submit()
    assert len(claim(world["agent"])) == 1
    assert Agent.objects.get(pk=world["agent"]).failures == 0


def test_a_paused_agent_stays_paused_whatever_fails(alice, world):
    for _ in range(5):
        world.submit()
    running = claim(world["agent"], 5)
    alice.post(f"/agents/{world['agent']}/pause")
    for task in running:
        leases.fail(task, error="broke", code="agent_failed")
    assert Agent.objects.get(pk=world["agent"]).status == "paused"


def test_another_configuration_is_tried_at_once(alice, world):
    fail_five_times(world)
    alice.patch(f"/agents/{world['agent']}", {"name": "renamed"})
    assert Agent.objects.get(pk=world["agent"]).status == "error"
    alice.patch(f"/agents/{world['agent']}", {"config": {"key": "another"}})
    agent = Agent.objects.get(pk=world["agent"])
    assert (agent.status, agent.failures) == ("active", 0)
