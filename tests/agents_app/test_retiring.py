"""Agents that are drained, deleted, away or full: what any other could do does not wait for them."""

import pytest

from agents_app import leases, retiring, routing
from agents_app.models import Agent, Task
from taskmaster.core.clock import now
from tests.api.working import claim, told
from tests.api.world import World

pytestmark = pytest.mark.django_db
CODE = {"agentType": "custom", "capabilities": ["code_generation"]}


@pytest.fixture
def pair(alice, monkeypatch):
    """Two agents that fit the same tasks, with nobody else."""
    monkeypatch.setattr("agents_app.fleet._trouble", lambda agent, resolved: None)
    first, second = World(alice)["agent"], World(alice)["agent"]
    Agent.objects.exclude(pk__in=[first, second]).delete()
    return first, second


def routed(alice):
    return alice.post("/tasks", {"type": "t", "description": "d", **CODE}).json()["taskId"]


def pinned(alice, agent, **fields):
    return alice.post(f"/agents/{agent}/tasks", {"type": "t", "description": "d", **fields}).json()["taskId"]


def agent_of(task):
    return Task.objects.values_list("agent_id", flat=True).get(pk=task)


def status_of(agent):
    return Agent.objects.values_list("status", flat=True).get(pk=agent)


def test_a_drained_agent_finishes_what_it_runs_and_is_paused(alice, org, pair):
    first, _ = pair
    pinned(alice, first)
    waiting = pinned(alice, first)
    (running,) = claim(first, 1)
    answer = alice.post(f"/agents/{first}/drain")
    assert (answer.status_code, answer.json()["agent"]["status"]) == (200, "paused")
    assert status_of(first) == "draining"
    assert claim(first) == []
    retiring.finish()
    assert status_of(first) == "draining"
    leases.complete(running, result={})
    retiring.finish()
    assert status_of(first) == "paused"
    assert Task.objects.get(pk=waiting).status == "queued"
    assert [data["status"] for _, data in told(org, "agent.status")] == ["draining", "paused"]


def test_an_idle_agent_is_drained_at_once(alice, pair):
    alice.post(f"/agents/{pair[0]}/drain")
    assert status_of(pair[0]) == "paused"


def test_draining_hands_over_what_others_can_take_and_keeps_what_is_pinned(alice, pair):
    first, second = pair
    mine = pinned(alice, first)
    alice.post(f"/agents/{second}/pause")
    tasks = [routed(alice) for _ in range(3)]
    assert {agent_of(task) for task in tasks} == {first}
    alice.post(f"/agents/{second}/resume")
    alice.post(f"/agents/{first}/drain")
    assert {agent_of(task) for task in tasks} == {second}
    assert agent_of(mine) == first


def test_a_deleted_agents_routed_tasks_go_on_elsewhere(alice, pair):
    first, second = pair
    alice.post(f"/agents/{second}/pause")
    moved, lost = routed(alice), pinned(alice, first)
    alice.post(f"/agents/{second}/resume")
    alice.delete(f"/agents/{first}")
    assert (agent_of(moved), Task.objects.get(pk=moved).status) == (second, "queued")
    assert Task.objects.get(pk=lost).status == "cancelled"


def test_the_sweep_clears_what_a_deleted_agent_has_left(alice, pair, monkeypatch):
    monkeypatch.setattr(retiring, "AT_ONCE", 2)
    first, second = pair
    alice.post(f"/agents/{second}/pause")
    moved = [routed(alice) for _ in range(3)]
    mine = [pinned(alice, first) for _ in range(4)]
    alice.post(f"/agents/{second}/resume")
    alice.delete(f"/agents/{first}")
    for _ in range(4):
        retiring.finish()
    assert {agent_of(task) for task in moved} == {second}
    assert {Task.objects.get(pk=task).status for task in moved} == {"queued"}
    assert {Task.objects.get(pk=task).status for task in mine} == {"cancelled"}


def test_of_a_deleted_agents_work_what_runs_is_stopped_first(alice, pair, monkeypatch):
    monkeypatch.setattr(retiring, "AT_ONCE", 1)
    first, _ = pair
    waiting = pinned(alice, first)
    urgent = pinned(alice, first, priority="urgent")
    claim(first, 1)
    alice.delete(f"/agents/{first}")
    assert Task.objects.get(pk=urgent).status == "cancelled"
    assert Task.objects.get(pk=waiting).status == "queued"


def test_work_that_came_in_while_its_agent_was_deleted_is_cancelled(alice, pair):
    first, _ = pair
    late = pinned(alice, first)
    Agent.objects.filter(pk=first).update(deleted_at=now())
    retiring.finish()
    assert Task.objects.get(pk=late).status == "cancelled"


def test_only_an_agent_with_the_capabilities_takes_over(alice, pair):
    first, second = pair
    alice.post(f"/agents/{second}/pause")
    task = routed(alice)
    alice.patch(f"/agents/{second}", {"capabilities": ["painting"]})
    alice.post(f"/agents/{second}/resume")
    alice.post(f"/agents/{first}/pause")
    routing.spread()
    assert agent_of(task) == first


@pytest.mark.parametrize("state", ["paused", "error"])
def test_the_sweep_hands_over_what_waits_for_an_agent_that_is_away(alice, pair, state):
    first, second = pair
    alice.post(f"/agents/{second}/pause")
    task = routed(alice)
    alice.post(f"/agents/{second}/resume")
    Agent.objects.filter(pk=first).update(status=state)
    routing.spread()
    assert agent_of(task) == second


def test_the_sweep_gives_a_full_agents_backlog_to_one_with_room(alice, pair):
    first, second = pair
    alice.patch(f"/agents/{first}", {"maxConcurrentTasks": 1})
    alice.patch(f"/agents/{second}", {"maxConcurrentTasks": 2})
    alice.post(f"/agents/{second}/pause")
    tasks = [routed(alice) for _ in range(5)]
    claim(first, 1)
    alice.post(f"/agents/{second}/resume")
    routing.spread()
    assert [agent_of(task) == second for task in tasks] == [False, True, True, False, False]


def test_a_pinned_sessions_message_stays_with_its_agent(alice, pair):
    first, _ = pair
    session = alice.post("/sessions", {"agentType": "custom", "agentId": first}).json()["session"]["id"]
    alice.post(f"/sessions/{session}/messages", {"content": "hi"}, prefer="respond-async")
    alice.post(f"/agents/{first}/pause")
    routing.spread()
    assert Task.objects.get().agent_id == first
