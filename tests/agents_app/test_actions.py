"""Permissions that an agent asks for: who decides, once, and what becomes of the task."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from agents_app import actions, dispatch, leases
from agents_app.backends.base import Decision, Question
from agents_app.models import Action, Task
from tests.api.racing import at_once
from tests.api.working import claim, told
from tests.api.world import World
from tests.conftest import person

pytestmark = pytest.mark.django_db
QUESTION = Question(key="call_1", tool="Bash", input={"command": "ls"}, diff=None, risk="high")


@pytest.fixture
def world(alice):
    return World(alice)


@pytest.fixture
def task(world):
    """A task of the session that asks."""
    world.submit(sessionId=world["session"])
    (found,) = claim(world["agent"])
    return found


def ask(task, **fields):
    return actions.ask(task, Question(**({"key": "k", "tool": "Bash", "input": {"command": "ls"}} | fields)))


def confirm(person, action, **body):
    return person.post(f"/actions/{action}/confirm", {"confirmed": True} | body)


def status_of(task):
    return Task.objects.values_list("status", flat=True).get(pk=task.pk)


def test_a_question_is_a_row_and_its_task_waits(alice, org, world, task):
    action = actions.ask(task, QUESTION)
    shown = alice.get(f"/actions/{action}").json()["action"]
    assert shown == {
        "id": action,
        "kind": "tool",
        "status": "pending",
        "tool": "Bash",
        "input": {"command": "ls"},
        "diff": None,
        "risk": "high",
        "sessionId": world["session"],
        "taskId": task.pk,
        "messageId": None,
        "workflowId": None,
        "createdAt": shown["createdAt"],
        "expiresAt": shown["expiresAt"],
        "decidedAt": None,
        "decidedBy": None,
        "reason": None,
        "updatedInput": None,
        "executedAt": None,
    }
    assert alice.get(f"/tasks/{task.pk}").json()["task"]["status"] == "waiting"
    assert [kind for kind, _ in told(org, "task.w", "action.")] == ["task.waiting", "action.pending"]


def test_a_task_that_waits_with_its_agent_keeps_its_place_and_its_lease(alice, world, task):
    alice.patch(f"/agents/{world['agent']}", {"maxConcurrentTasks": 1})
    ask(task)
    world.submit()
    assert claim(world["agent"]) == []
    assert leases.renew("worker_x", [(task.pk, task.lease)]) == {task.pk}
    assert alice.get(f"/agents/{world['agent']}").json()["agent"]["currentTasks"] == 1


def test_confirmed_means_that_it_goes_on(alice, org, task):
    action = ask(task)
    answer = confirm(alice, action, reason="fine", updatedInput={"command": "ls -l"}, alwaysAllow=True)
    assert answer.status_code == 200
    assert answer.json()["result"] == {
        "actionId": action,
        "status": "confirmed",
        "executedAt": answer.json()["action"]["decidedAt"],
    }
    assert answer.json()["action"]["decidedBy"].startswith("test (")
    decision = actions.decision_of(action)
    assert decision == Decision(allowed=True, reason="fine", input={"command": "ls -l"}, always=True)
    actions.go_on(task)
    assert status_of(task) == "running"
    assert leases.complete(task, result={"content": "x"})
    assert [kind for kind, _ in told(org, "action.")] == ["action.pending", "action.confirmed"]


def test_denied_tells_the_agent_why(alice, task):
    action = ask(task)
    answer = confirm(alice, action, confirmed=False, reason="not on a Friday", updatedInput={"x": 1}, onDeny="stop")
    assert answer.json()["result"] == {"actionId": action, "status": "denied", "executedAt": None}
    assert actions.decision_of(action) == Decision(allowed=False, reason="not on a Friday", on_deny="stop")


def test_the_same_answer_again_is_the_same_and_the_opposite_a_conflict(alice, org, task):
    action = ask(task)
    first = confirm(alice, action, reason="one").json()["action"]
    again = confirm(alice, action, reason="two")
    assert (again.status_code, again.json()["action"]) == (200, first)
    opposite = confirm(alice, action, confirmed=False)
    assert (opposite.status_code, opposite.json()["code"]) == (409, "invalid_state")
    assert opposite.json()["details"] == [{"field": "status", "message": "confirmed"}]
    assert len(told(org, "action.confirmed")) == 1


def test_a_late_answer_is_a_conflict(alice, org, task):
    action = ask(task)
    Action.objects.update(expires_at=Now() - timedelta(seconds=1))
    late = confirm(alice, action)
    assert (late.status_code, late.json()["details"]) == (409, [{"field": "status", "message": "expired"}])
    actions.expire_due()
    assert actions.decision_of(action) == Decision(allowed=False, reason=actions.NOBODY)
    assert [kind for kind, _ in told(org, "action.")] == ["action.pending", "action.expired"]


def test_another_sessions_and_another_organizations_action_are_not_found(alice, world, task, charlie):
    action = ask(task)
    other = World(alice)["session"]
    assert confirm(alice, action, sessionId=other).status_code == 404
    assert confirm(charlie, action).status_code == 404
    assert charlie.get(f"/actions/{action}").status_code == 404
    assert Action.objects.get().status == "pending"


def test_bob_may_look_and_not_decide(bob, task):
    action = ask(task)
    assert bob.get("/actions?status=pending").json()["actions"][0]["id"] == action
    assert (confirm(bob, action).status_code, Action.objects.get().status) == (403, "pending")


@pytest.mark.django_db(transaction=True)
def test_of_twenty_decisions_at_once_the_first_wins(alice, org, task):
    action = ask(task)
    people = [person(org) for _ in range(20)]
    verdicts = at_once(*[lambda p=p, n=n: confirm(p, action, confirmed=n % 2 == 0) for n, p in enumerate(people)])
    stored = Action.objects.get().status
    for number, answer in enumerate(verdicts):
        agrees = ("confirmed" if number % 2 == 0 else "denied") == stored
        assert answer.status_code == (200 if agrees else 409)
    assert len(told(org, "action.c", "action.d")) == 1


@pytest.mark.parametrize("how", ["cancelled", "lost", "given back", "completed"])
def test_the_questions_of_an_attempt_end_with_it(alice, org, task, how):
    action = ask(task)
    if how == "cancelled":
        dispatch.cancel(task)
    elif how == "lost":
        leases.lose(task, overdue=False)
    elif how == "given back":
        leases.give_back(task, after=None, error="stopped")
    else:
        leases.complete(task, result={})
    assert Action.objects.get().status == "expired"
    assert confirm(alice, action).status_code == 409


def test_whoever_lost_the_lease_asks_nothing(task):
    Task.objects.update(lease="another")
    assert actions.ask(task, QUESTION) == ""
    assert not Action.objects.exists()


def test_two_questions_at_once_wait_for_both_answers(alice, task):
    first, second = ask(task, key="a"), ask(task, key="b")
    confirm(alice, first)
    actions.go_on(task)
    assert status_of(task) == "waiting"
    confirm(alice, second)
    actions.go_on(task)
    assert status_of(task) == "running"


@pytest.mark.parametrize("query", ["status=open", "kind=x"])
def test_a_strange_filter_is_refused(alice, query):
    answer = alice.get(f"/actions?{query}")
    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, query.partition("=")[0])
