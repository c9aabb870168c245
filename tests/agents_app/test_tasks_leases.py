"""Leases: who may run what, in which order, how many at once, and what becomes of work whose worker is gone."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from agents_app import budgets, leases, outcomes
from agents_app.backends.base import BackendError
from agents_app.models import Task
from agents_app.registry import BACKENDS, Resolved
from tests.api.racing import at_once
from tests.api.working import answer, claim, overdue, told
from tests.api.world import World, stored

from .races import ids

pytestmark = pytest.mark.django_db
ECHO = Resolved(BACKENDS["echo"], {})


@pytest.fixture
def world(alice):
    return World(alice)


def test_the_higher_priority_starts_first_and_equals_in_order(world):
    order = ["low", "normal", "urgent", "high", "urgent", "normal", "low", "high"]
    made = [(priority, world.submit(priority=priority)) for priority in order]
    expected = [pk for wanted in ("urgent", "high", "normal", "low") for priority, pk in made if priority == wanted]
    found = []
    while tasks := claim(world["agent"], 1):
        found += ids(tasks)
        assert leases.complete(tasks[0], result={})
    assert found == expected


def test_a_claim_takes_several_in_order(world):
    made = [world.submit() for _ in range(4)]
    assert ids(claim(world["agent"], 3)) == made[:3]
    assert ids(claim(world["agent"], 3)) == made[3:]


def test_an_agent_never_runs_more_than_it_may(alice, world):
    alice.patch(f"/agents/{world['agent']}", {"maxConcurrentTasks": 2})
    made = [world.submit() for _ in range(4)]
    running = claim(world["agent"], 10)
    assert ids(running) == made[:2]
    assert claim(world["agent"], 10) == []
    leases.complete(running[0], result={})
    assert ids(claim(world["agent"], 10)) == made[2:3]


def test_a_claim_says_whether_there_is_more(world):
    for _ in range(3):
        world.submit()
    more = [leases.claim(world["agent"], "worker_x", 2, ready=lambda agent: True).more for _ in range(3)]
    assert more == [True, False, False]


@pytest.mark.parametrize("how", ["paused", "deleted", "unready", "unknown"])
def test_an_agent_that_cannot_run_is_given_nothing(alice, world, how):
    assert world["task"]
    agent = world["agent"]
    if how == "paused":
        alice.post(f"/agents/{agent}/pause")
    elif how == "deleted":
        alice.delete(f"/agents/{agent}")
    elif how == "unknown":
        agent = "agent_nope"
    before = stored()
    found = leases.claim(agent, "worker_x", 5, ready=lambda agent: how != "unready")
    assert (found.tasks, found.more) == ([], False)
    assert stored() == before


def test_an_agent_is_given_its_own_tasks_only(alice, world):
    other = World(alice)
    assert world["task"]
    assert other["task"]
    assert ids(claim(world["agent"], 5)) == [world["task"]]


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")
def test_what_is_handed_to_another_agent_during_a_claim_is_not_taken(alice, world):
    other = World(alice)
    moved, kept = world.submit(), world.submit()
    handed, claimed = threading.Event(), threading.Event()

    def hand_over():
        with transaction.atomic():
            Task.objects.filter(pk=moved).update(agent=other["agent"])
            handed.set()
            assert claimed.wait(10)

    def claim_meanwhile():
        assert handed.wait(10)
        found = ids(claim(world["agent"], 3))
        claimed.set()
        return found

    assert at_once(hand_over, claim_meanwhile)[1] == [kept]
    assert Task.objects.get(pk=moved).status == "queued"
    assert ids(claim(other["agent"])) == [moved]


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")
def test_what_is_being_claimed_is_not_handed_to_another_agent(alice, world, monkeypatch):
    other, mine = World(alice), world.submit()
    looked, go = threading.Event(), threading.Event()

    def slowly(tasks):
        looked.set()
        go.wait(0.5)  # the other one waits for this claim's end
        return tasks

    def hand_over():
        assert looked.wait(10)
        queued = Task.objects.filter(pk=mine, status="queued")
        moved = queued.update(agent=other["agent"])
        go.set()
        return moved

    monkeypatch.setattr(budgets, "within", slowly)
    claimed, moved = at_once(lambda: ids(claim(world["agent"])), hand_over)
    assert (claimed, moved) == ([mine], 0)


def test_a_sessions_limit_holds_over_all_its_agents(alice, world):
    other = World(alice)
    alice.patch(f"/sessions/{world['session']}", {"configuration": {"maxConcurrentTasks": 2}})
    mine = [world.submit(sessionId=world["session"]) for _ in range(3)]
    theirs = other.submit(sessionId=world["session"])
    free = other.submit()
    running = claim(world["agent"], 5)
    assert ids(running) == mine[:2]
    assert ids(claim(other["agent"], 5)) == [free]
    leases.complete(running[0], result={})
    assert ids(claim(other["agent"], 5)) == [theirs]
    assert claim(world["agent"], 5) == []


def test_a_lease_is_new_for_each_claim(world):
    assert world["task"]
    (first,) = claim(world["agent"])
    leases.give_back(first, after=None, error="stopped")
    (second,) = claim(world["agent"], worker="worker_y")
    assert first.pk == second.pk
    assert first.lease != second.lease
    assert len(second.lease) >= 32


def test_an_old_lease_changes_nothing(world):
    assert world["task"]
    (old,) = claim(world["agent"])
    old_lease = old.lease
    overdue(old)
    leases.reap()
    (new,) = claim(world["agent"], worker="worker_y")
    old.lease, old.status = old_lease, "running"
    before = stored()
    assert not leases.complete(old, result={"content": "late"})
    old.lease = old_lease
    assert not leases.fail(old, error="late", code="late")
    assert not leases.give_back(old, after=None, error="late")
    assert not leases.report_progress(old, 0.9)
    assert leases.renew("worker_x", [(old.pk, old_lease)]) == set()
    assert stored() == before
    assert leases.complete(new, result={"content": "good"})


@pytest.mark.parametrize("lease", ["", "wrong"])
def test_no_lease_and_a_wrong_one_change_nothing(world, lease):
    assert world["task"]
    (task,) = claim(world["agent"])
    other = Task.objects.get(pk=world.submit())
    task.lease = other.lease = lease
    before = stored()
    for one in (task, other):
        assert not leases.complete(one, result={})
        assert not leases.fail(one, error="e", code="c")
        assert not leases.give_back(one, after=None, error="e")
        assert not leases.report_progress(one, 0.5)
    assert stored() == before


def test_a_task_ends_once(world, alice):
    assert world["task"]
    (task,) = claim(world["agent"])
    lease = task.lease
    assert leases.complete(task, result={"content": "first"})
    task.lease = lease
    assert not leases.fail(task, error="second", code="c")
    assert not leases.complete(task, result={"content": "third"})
    assert Task.objects.get().result == {"content": "first"}
    assert len(told(alice.org, "task.completed", "task.failed")) == 1


def test_a_renewed_lease_is_not_reaped(world):
    assert world["task"]
    (task,) = claim(world["agent"])
    overdue(task)
    assert leases.renew("worker_x", [(task.pk, task.lease)]) == {task.pk}
    assert leases.reap() == set()
    assert Task.objects.get().status == "running"


def test_only_the_holder_renews(world):
    assert world["task"]
    (task,) = claim(world["agent"])
    assert leases.renew("worker_y", [(task.pk, task.lease)]) == set()
    assert leases.renew("worker_x", [(task.pk, "wrong")]) == set()
    assert leases.renew("worker_x", []) == set()


def test_a_cancelled_task_is_no_longer_renewed(alice, world):
    assert world["task"]
    (task,) = claim(world["agent"])
    alice.post(f"/tasks/{task.pk}/cancel")
    assert leases.renew("worker_x", [(task.pk, task.lease)]) == set()


def test_an_overdue_task_goes_back_to_its_place(alice, world):
    first, second = world.submit(), world.submit()
    (task,) = claim(world["agent"])
    assert leases.reap() == set()
    overdue(task)
    assert leases.reap() == {world["agent"]}
    assert leases.reap() == set()
    row = Task.objects.get(pk=first)
    assert (row.status, row.attempts, row.lost, row.lease) == ("queued", 1, 1, "")
    (_, data) = told(alice.org, "task.retrying")[0]
    assert (data["taskId"], data["retryAfter"]) == (first, 0)
    assert ids(claim(world["agent"], 2)) == [first, second]


def test_a_task_that_loses_its_worker_too_often_fails(alice, world):
    task_id = world["task"]
    for lost in range(1, leases.MAX_LOST + 1):
        (task,) = claim(world["agent"])
        overdue(task)
        leases.reap()
        row = Task.objects.get(pk=task_id)
        assert (row.lost, row.status) == (lost, "failed" if lost == leases.MAX_LOST else "queued")
    assert (row.error_code, row.attempts) == ("worker_lost", leases.MAX_LOST)
    assert claim(world["agent"]) == []
    kinds = [kind for kind, _ in told(alice.org, "task.retrying", "task.failed")]
    assert kinds == ["task.retrying"] * (leases.MAX_LOST - 1) + ["task.failed"]


def test_a_lost_workers_message_fails_and_the_next_goes_on(world):
    first, second = world.say("first"), world.say("second")
    for _ in range(leases.MAX_LOST):
        (task,) = claim(world["agent"])
        assert task.origin_id == first
        overdue(task)
        leases.reap()
    assert answer(world["agent"]).origin_id == second


def test_a_passing_failure_is_tried_again_later_and_later(alice, world):
    task_id = world["task"]
    broken = BackendError("busy", transient=True)
    for number, pause in enumerate(leases.RETRY_AFTER, 1):
        (task,) = claim(world["agent"])
        outcomes._failed(task, broken, ECHO)
        row = Task.objects.get(pk=task_id)
        assert (row.status, row.failures, row.error) == ("queued", number, "busy")
        assert claim(world["agent"]) == []
        ((_, data),) = told(alice.org, "task.retrying")[number - 1 :]
        assert (data["retryAfter"], data["error"]) == (pause.total_seconds() * 1000, "busy")
        Task.objects.filter(pk=task_id).update(not_before=Now() - timedelta(seconds=1))
    (task,) = claim(world["agent"])
    outcomes._failed(task, broken, ECHO)
    row = Task.objects.get(pk=task_id)
    assert (row.status, row.attempts) == ("failed", len(leases.RETRY_AFTER) + 1)


def test_a_backend_may_ask_for_a_longer_pause_but_not_a_shorter(world, alice):
    for asked, expected in ((60_000, 60_000), (10, 1000)):
        world.submit()
        (task,) = claim(world["agent"])
        outcomes._failed(task, BackendError("busy", transient=True, retry_after=asked), ECHO)
        assert told(alice.org, "task.retrying")[-1][1]["retryAfter"] == expected


def test_a_lasting_failure_is_not_tried_again(world):
    assert world["task"]
    (task,) = claim(world["agent"])
    outcomes._failed(task, BackendError("no", code="refused"), ECHO)
    row = Task.objects.get()
    assert (row.status, row.error, row.error_code, row.failures) == ("failed", "no", "refused", 0)


def test_a_pause_ends_by_the_databases_clock(world):
    assert world["task"]
    (task,) = claim(world["agent"])
    leases.give_back(task, after=timedelta(milliseconds=300), error="busy")
    assert claim(world["agent"]) == []
    deadline = time.monotonic() + 5
    while not (again := claim(world["agent"])):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert ids(again) == [task.pk]


def test_a_stopped_workers_task_is_run_again_at_once(world):
    assert world["task"]
    (task,) = claim(world["agent"])
    outcomes.put_back(task)()
    row = Task.objects.get()
    assert (row.status, row.failures, row.lost) == ("queued", 0, 0)
    assert ids(claim(world["agent"])) == [task.pk]
