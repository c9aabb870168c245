"""What is used is counted; a budget that is used up makes work wait, and asks."""

from datetime import timedelta

import pytest

from agents_app import budgets, leases, spending
from agents_app.models import Account, Action, Spending, Task
from agents_app.org_limits import org_limits
from taskmaster.core.clock import now
from tests.api.racing import at_once
from tests.api.working import answer, claim, told
from tests.api.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh():
    org_limits.forget()
    yield
    org_limits.forget()


@pytest.fixture
def world(alice):
    return World(alice)


@pytest.fixture
def session(alice, world):
    """A session that may use ten tokens."""
    alice.patch(f"/sessions/{world['session']}", {"configuration": {"tokenBudget": 10}})
    return world["session"]


def confirm(alice, **body):
    action = Action.objects.get(status="pending").pk
    return alice.post(f"/actions/{action}/confirm", {"confirmed": True} | body)


def budget_of(alice, session):
    return alice.get(f"/sessions/{session}").json()["session"]["configuration"]["tokenBudget"]


def test_tokens_and_time_are_summed_for_agent_session_and_organization(alice, org, world):
    for tokens in (3, 4):
        world.submit(sessionId=world["session"])
        answer(world["agent"], tokens_used=tokens)
    for folded in (False, True):
        if folded:
            assert spending.fold() == 2
        for subject in ({"org_id": org.pk}, {"agent_id": world["agent"]}, {"session_id": world["session"]}):
            used = spending.used(**subject)
            assert (used.tokens, used.attempts) == (7, 2)
        assert alice.get("/org/usage").json()["usage"]["byAgent"] == [
            {"agentId": world["agent"], "name": "echo", **used.public()}
        ]
    assert (Spending.objects.count(), Account.objects.count()) == (0, 3)
    usage = alice.get("/org/usage").json()["usage"]
    assert (usage["tokensUsed"], usage["attempts"], usage["tokenBudget"]) == (7, 2, None)
    assert [(a["agentId"], a["tokensUsed"]) for a in usage["byAgent"]] == [(world["agent"], 7)]


def test_a_failed_attempt_counts_too(org, world):
    assert world["task"]
    (task,) = claim(world["agent"])
    leases.give_back(task, after=None, error="busy", tokens=5)
    assert spending.used(org_id=org.pk).tokens == 5


def test_the_time_of_a_task_that_is_cancelled_while_it_runs_counts_too(alice, org, world):
    waiting, running = world.submit(), world.submit()
    alice.post(f"/tasks/{waiting}/cancel")
    assert spending.used(org_id=org.pk).attempts == 0
    claim(world["agent"])
    Task.objects.filter(pk=running).update(started_at=now() - timedelta(seconds=3))
    alice.post(f"/tasks/{running}/cancel")
    used = spending.used(agent_id=world["agent"])
    assert (used.attempts, used.tokens) == (1, 0)
    assert 3_000 <= used.milliseconds < 6_000


@pytest.mark.django_db(transaction=True)
def test_folding_at_once_counts_each_line_once(org, world):
    for _ in range(30):
        world.submit()
        answer(world["agent"], tokens_used=1)
    assert sum(at_once(*[spending.fold] * 6)) == 30
    assert spending.used(org_id=org.pk).tokens == 30


def test_a_used_up_session_waits_and_asks_once(alice, org, world, session):
    world.submit(sessionId=session)
    answer(world["agent"], tokens_used=12)
    waiting = [world.submit(sessionId=session) for _ in range(2)]
    assert claim(world["agent"], 5) == []
    assert set(Task.objects.filter(status="waiting").values_list("pk", flat=True)) == set(waiting)
    action = Action.objects.get()
    assert (action.kind, action.session_id, action.expires_at) == ("budget", session, None)
    assert action.input == {"scope": "session", "tokenBudget": 10, "tokensUsed": 12}
    kinds = [kind for kind, _ in told(org, "budget.", "action.", "task.waiting")]
    assert sorted(kinds) == ["action.pending", "budget.reached", "task.waiting", "task.waiting"]


def test_a_message_waits_like_any_task(alice, world, session):
    world.submit(sessionId=session)
    answer(world["agent"], tokens_used=10)
    said = world.say("hello")
    assert claim(world["agent"]) == []
    shown = alice.get(f"/sessions/{session}/messages/{said}").json()["message"]
    assert (shown["status"], shown["error"]) == ("queued", None)
    assert [action["messageId"] for action in alice.get("/actions").json()["actions"]] == [said]
    confirm(alice)
    answer(world["agent"], "hi")
    assert alice.get(f"/sessions/{session}/messages/{said}").json()["message"]["response"]["content"] == "hi"


def test_confirmed_the_budget_grows_by_itself_or_to_what_was_typed(alice, world, session):
    world.submit(sessionId=session)
    answer(world["agent"], tokens_used=12)
    task = world.submit(sessionId=session)
    claim(world["agent"])
    assert confirm(alice).status_code == 200
    assert budget_of(alice, session) == 22
    (running,) = claim(world["agent"])
    assert running.pk == task
    leases.complete(running, result={}, tokens_used=20)
    world.submit(sessionId=session)
    assert claim(world["agent"]) == []
    assert confirm(alice, updatedInput={"tokenBudget": 1000}).status_code == 200
    assert budget_of(alice, session) == 1000
    assert len(claim(world["agent"])) == 1


@pytest.mark.parametrize("wrong", [0, -5, 1.5, "1000", True, []])
def test_a_new_size_that_is_none_is_refused_and_decides_nothing(alice, world, session, wrong):
    world.submit(sessionId=session)
    answer(world["agent"], tokens_used=12)
    world.submit(sessionId=session)
    claim(world["agent"])
    refused = confirm(alice, updatedInput={"tokenBudget": wrong})
    assert (refused.status_code, refused.json()["details"][0]["field"]) == (400, "updatedInput.tokenBudget")
    assert (Action.objects.get().status, budget_of(alice, session)) == ("pending", 10)


def test_denied_its_work_fails_with_the_reason(alice, org, world, session):
    world.submit(sessionId=session)
    answer(world["agent"], tokens_used=12)
    said = world.say("hello")
    claim(world["agent"])
    confirm(alice, confirmed=False, reason="too dear")
    shown = alice.get(f"/sessions/{session}/messages/{said}").json()["message"]
    assert (shown["status"], shown["error"]) == ("failed", "The token budget is used up: too dear")
    assert alice.get(f"/agents/{world['agent']}").json()["agent"]["status"] != "error"


@pytest.mark.parametrize(("confirmed", "status"), [(True, "queued"), (False, "failed")])
def test_a_whole_backlog_is_moved_some_at_a_time_and_each_told_once(
    alice, org, world, session, monkeypatch, confirmed, status
):
    monkeypatch.setattr(budgets, "AT_ONCE", 2)
    world.submit(sessionId=session)
    answer(world["agent"], tokens_used=12)
    tasks = [world.submit(sessionId=session) for _ in range(5)]
    claim(world["agent"], 5)
    alice.post(f"/tasks/{tasks.pop()}/cancel")
    before = len(told(org, f"task.{status}"))
    assert confirm(alice, confirmed=confirmed).status_code == 200
    assert {(t.status, t.waits_for) for t in Task.objects.filter(pk__in=tasks)} == {
        (status, "" if confirmed else session)
    }
    assert sorted(data["taskId"] for _, data in told(org, f"task.{status}")[before:]) == sorted(tasks)


def test_a_budget_changed_in_another_way_releases_what_waits(alice, org, world, session):
    world.submit(sessionId=session)
    answer(world["agent"], tokens_used=12)
    task = world.submit(sessionId=session)
    claim(world["agent"])
    budgets.look_again()
    assert Action.objects.get().status == "pending"
    alice.patch(f"/sessions/{session}", {"configuration": {"tokenBudget": None}})
    budgets.look_again()
    assert Action.objects.get().status == "expired"
    assert [t.pk for t in claim(world["agent"])] == [task]


def test_a_question_that_nothing_waits_for_any_more_is_over(alice, world, session):
    world.submit(sessionId=session)
    answer(world["agent"], tokens_used=12)
    task = world.submit(sessionId=session)
    claim(world["agent"])
    alice.post(f"/tasks/{task}/cancel")
    budgets.look_again()
    assert Action.objects.get().status == "expired"


def test_an_organizations_budget_holds_for_all_its_work_and_nobody_elses(alice, charlie, world):
    alice.patch("/org", {"tokenBudget": 5})
    org_limits.forget()
    world.submit()
    answer(world["agent"], tokens_used=5)
    waiting = world.submit()
    assert claim(world["agent"]) == []
    action = Action.objects.get()
    assert (action.input["scope"], action.session_id) == ("org", None)
    theirs = World(charlie)
    theirs.submit()
    assert len(claim(theirs["agent"])) == 1
    confirm(alice)
    assert alice.get("/org").json()["org"]["tokenBudget"] == 10
    assert [t.pk for t in claim(world["agent"])] == [waiting]


def test_an_organizations_running_cap_holds_over_its_agents(alice, world):
    other = World(alice)
    alice.patch("/org", {"maxRunning": 3})
    org_limits.forget()
    for w in (world, other):
        for _ in range(3):
            w.submit()
    first, second = claim(world["agent"], 5), claim(other["agent"], 5)
    assert (len(first), len(second)) == (3, 0)
    leases.complete(first[0], result={})
    assert len(claim(other["agent"], 5)) == 1


@pytest.mark.django_db(transaction=True)
def test_the_running_cap_holds_when_all_claim_at_once(alice):
    worlds = [World(alice) for _ in range(8)]
    for world in worlds:
        world.submit()
    alice.patch("/org", {"maxRunning": 3})
    org_limits.forget()
    found = at_once(*[lambda w=w: claim(w["agent"], 1) for w in worlds])
    assert sum(len(tasks) for tasks in found) == 3
