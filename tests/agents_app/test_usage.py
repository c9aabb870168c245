"""What an agent and a session have used, where they are shown."""

from datetime import timedelta
from typing import Any

import pytest

from agents_app import spending
from agents_app.models import Task
from taskmaster.core.clock import now
from tests.api.working import answer, break_down, claim
from tests.api.world import World
from tests.conftest import Person

pytestmark = pytest.mark.django_db

NONE = {"tokensUsed": 0, "duration": 0, "attempts": 0}


@pytest.fixture
def world(alice: Person) -> World:
    return World(alice)


def usage(person: Person, what: str, pk: str) -> Any:
    return person.get(f"/{what}s/{pk}").json()[what]["usage"]


def test_an_agent_shows_what_it_has_used(alice: Person, world: World) -> None:
    other = alice.org.agents.get(type="claude")
    assert usage(alice, "agent", world["agent"]) == NONE
    for _ in range(3):
        world.submit()
    answer(world["agent"], tokens_used=5)
    answer(world["agent"], tokens_used=6)
    break_down(world["agent"])
    shown = usage(alice, "agent", world["agent"])
    assert (shown["tokensUsed"], shown["attempts"]) == (11, 3)
    assert usage(alice, "agent", other.pk) == NONE


def test_a_session_shows_what_it_has_used(alice: Person, world: World) -> None:
    session, other = world["session"], World(alice)["session"]
    world.submit(sessionId=session)
    world.submit()
    answer(world["agent"], tokens_used=5)
    answer(world["agent"], tokens_used=100)
    shown = usage(alice, "session", session)
    assert (shown["tokensUsed"], shown["attempts"]) == (5, 1)
    assert usage(alice, "session", other) == NONE


def test_folding_changes_nothing_of_what_is_shown(alice: Person, world: World) -> None:
    world.submit(sessionId=world["session"])
    answer(world["agent"], tokens_used=5)
    before = [usage(alice, "session", world["session"]), usage(alice, "agent", world["agent"])]
    spending.fold()
    assert [usage(alice, "session", world["session"]), usage(alice, "agent", world["agent"])] == before


def test_the_duration_is_the_time_that_agents_ran(alice: Person, world: World) -> None:
    world.submit(sessionId=world["session"])
    (task,) = claim(world["agent"])
    task.started_at = now() - timedelta(seconds=90)
    Task.objects.filter(pk=task.pk).update(started_at=task.started_at)
    spending.spend(task, 0)
    assert 90_000 <= usage(alice, "session", world["session"])["duration"] < 120_000


def test_lists_and_the_agents_status_do_without(alice: Person, world: World) -> None:
    assert world.session
    shown = [
        alice.get("/agents").json()["agents"][0],
        alice.get("/sessions").json()["sessions"][0],
        alice.get(f"/agents/{world['agent']}/status").json()["status"],
    ]
    assert ["usage" in one for one in shown] == [False, False, False]


def test_a_session_takes_a_few_queries_however_much_it_did(
    alice: Person, world: World, django_assert_max_num_queries: Any
) -> None:
    for _ in range(5):
        world.submit(sessionId=world["session"])
        answer(world["agent"])
    alice.get(f"/sessions/{world['session']}")
    with django_assert_max_num_queries(5):
        assert usage(alice, "session", world["session"])["attempts"] == 5
