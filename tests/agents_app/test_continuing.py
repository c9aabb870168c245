"""The worker that ends a task takes what follows from it, and nobody else's turn."""

import pytest

from agents_app import continuing, dispatch, leases
from agents_app.continuing import Place
from agents_app.models import Agent, Task
from taskmaster.core.subscriptions import SUBSCRIPTIONS
from tests.api.racing import at_once
from tests.api.working import claim, told

pytestmark = pytest.mark.django_db
FOLLOWING = "tests.agents_app.test_continuing.follow"
following: list = []


def follow(task):
    """What follows from a task's end in these tests: one task for each that is in the list."""
    for agent, about in following.pop() if following else ():
        dispatch.submit(dispatch.task_for(agent, type="next", description="next", **about))


@pytest.fixture(autouse=True)
def _followed(monkeypatch):
    following.clear()
    monkeypatch.setitem(SUBSCRIPTIONS, "task.completed", (FOLLOWING,))


@pytest.fixture
def agent(alice):
    return hired(alice, 2)


def hired(alice, limit):
    body = {"name": "echo", "type": "custom", "backend": "echo", "maxConcurrentTasks": limit}
    return Agent.objects.get(pk=alice.post("/agents", body).json()["agent"]["id"])


def running(agent):
    """A task that a worker holds."""
    dispatch.submit(dispatch.task_for(agent, type="first", description="first"))
    (task,) = claim(agent.pk)
    return task


def end(task, *next_, ready=True):
    """End it, with these following, where the worker's place is offered; what began after the commit."""
    following.append([(each, {}) if isinstance(each, Agent) else each for each in next_])
    begun = []
    with continuing.offered(Place("worker_y", task, lambda agent: ready, begun.append)):
        assert leases.complete(task, result={})
    return begun


def after(task):
    """What followed: its status and who holds it."""
    return [(t.status, t.worker_id) for t in Task.objects.filter(type="next").order_by("id")]


def test_what_follows_is_taken_at_once(agent, org, django_capture_on_commit_callbacks):
    task = running(agent)
    with django_capture_on_commit_callbacks(execute=True):
        begun = end(task, agent)
    (next_,) = Task.objects.filter(type="next")
    assert (next_.status, next_.worker_id, next_.attempts) == ("running", "worker_y", 1)
    assert next_.lease
    assert next_.lease_expires_at > next_.created_at
    assert [(t.pk, t.lease) for t in begun] == [(next_.pk, next_.lease)]
    kinds = [kind for kind, data in told(org, "task.") if data["taskId"] == next_.pk]
    assert kinds == ["task.queued", "task.started"]
    assert leases.complete(next_, result={"content": "x"})


def test_of_several_one_is_taken_and_the_others_queue(agent):
    end(running(agent), agent, agent, agent)
    assert after("next") == [("running", "worker_y"), ("queued", ""), ("queued", "")]


def test_whoever_waits_for_a_place_goes_first(alice):
    agent = hired(alice, 1)
    task = running(agent)
    dispatch.submit(dispatch.task_for(agent, type="waiting", description="waits"))
    end(task, agent)
    assert after("next") == [("queued", "")]
    assert [t.type for t in claim(agent.pk)] == ["waiting"]


def test_where_there_is_a_place_for_everybody_nobody_is_passed_over(agent):
    task = running(agent)
    dispatch.submit(dispatch.task_for(agent, type="waiting", description="waits"))
    end(task, agent)
    assert after("next") == [("running", "worker_y")]
    assert [t.type for t in claim(agent.pk)] == ["waiting"]


def test_it_may_take_the_place_that_was_the_last(alice):
    agent = hired(alice, 1)
    end(running(agent), agent)
    assert after("next") == [("running", "worker_y")]
    assert claim(agent.pk) == []


def test_an_agent_that_may_run_less_by_now_starts_nothing(agent):
    task, other = running(agent), running(agent)
    Agent.objects.filter(pk=agent.pk).update(max_concurrent_tasks=1)
    end(task, agent)
    assert after("next") == [("queued", "")]
    end(other)
    assert len(claim(agent.pk)) == 1


@pytest.mark.parametrize("status", ["paused", "draining", "error"])
def test_an_agent_that_takes_nothing_is_given_nothing(agent, status):
    task = running(agent)
    Agent.objects.filter(pk=agent.pk).update(status=status)
    end(task, agent)
    assert after("next") == [("queued", "")]


def test_what_this_worker_cannot_run_is_left_to_others(agent):
    end(running(agent), agent, ready=False)
    assert after("next") == [("queued", "")]


def test_another_agent_that_has_a_place_works_too(agent, alice):
    end(running(agent), hired(alice, 1))
    assert after("next") == [("running", "worker_y")]


def test_another_agent_that_is_full_does_not(agent, alice):
    full = hired(alice, 1)
    running(full)
    end(running(agent), full)
    assert after("next") == [("queued", "")]


@pytest.mark.parametrize("limit", [{"max_running": 5}, {"token_budget": 1_000_000}])
def test_an_organization_with_limits_is_served_by_claims(agent, org, limit):
    from agents_app.org_limits import org_limits

    task = running(agent)
    type(org).objects.filter(pk=org.pk).update(**limit)
    org_limits.forget()
    end(task, agent)
    org_limits.forget()
    assert after("next") == [("queued", "")]


def test_without_an_offer_everything_queues(agent):
    following.append([(agent, {})])
    assert leases.complete(running(agent), result={})
    assert after("next") == [("queued", "")]


def test_a_lost_lease_takes_nothing(agent):
    task = running(agent)
    Task.objects.filter(pk=task.pk).update(lease="somebody else's")
    following.append([(agent, {})])
    with continuing.offered(Place("worker_y", task, lambda agent: True, lambda task: None)):
        assert not leases.complete(task, result={})
    assert after("next") == []


@pytest.mark.django_db(transaction=True)
def test_a_gate_that_somebody_holds_is_passed_by(alice):
    """Whoever hands out the agent's work waits for nobody who goes on, and the other way round."""
    from django.db import connection, transaction

    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    agent = hired(alice, 2)
    task = running(agent)

    def ends():
        end(task, agent)

    with transaction.atomic():
        assert Agent.objects.select_for_update(no_key=True).get(pk=agent.pk)
        at_once(ends)
    assert after("next") == [("queued", "")]


@pytest.mark.django_db(transaction=True)
def test_however_many_go_on_the_limit_is_kept(alice):
    agent = hired(alice, 3)
    tasks = [running(agent) for _ in range(3)]

    def ends(task):
        following.append([(agent, {}), (agent, {})])
        with continuing.offered(Place("worker_y", task, lambda agent: True, lambda task: None)):
            leases.complete(task, result={})

    at_once(*[lambda task=task: ends(task) for task in tasks], lambda: claim(agent.pk, 3), lambda: claim(agent.pk, 3))
    assert leases.held().filter(agent=agent.pk).count() <= 3
    claim(agent.pk, 5)
    assert leases.held().filter(agent=agent.pk).count() == 3
    assert Task.objects.filter(type="next").count() == 6
