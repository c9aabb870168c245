"""State moves: of however many who race, one wins, and the others are told what is stored."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F

from agents_app.models import Agent, Task
from taskmaster.core.errors import InvalidState
from taskmaster.orgs.models import Organization

RACERS = 8


@pytest.fixture
def task(org: Organization) -> Task:
    agent = Agent.objects.create(org=org, name="echo", type="custom", backend="echo")
    return Task.objects.create(org=org, agent=agent, type="code", description="race")


def race(run: Callable[[int], Any]) -> list[Any]:
    """What `run` returns in each of the racers, or the error that it raises."""
    found: list[Any] = [None] * RACERS
    together = threading.Barrier(RACERS)

    def racer(number: int) -> None:
        try:
            together.wait(10)
            found[number] = run(number)
        except Exception as error:
            found[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=racer, args=[number]) for number in range(RACERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return found


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in a transaction"])
def test_one_of_many_racing_movers_wins(task: Task, inside: bool) -> None:
    copies = [Task.objects.get(pk=task.pk) for _ in range(RACERS)]

    def move(number: int) -> bool:
        if not inside:
            return copies[number].try_move(Task.RUNNING, lease=f"lease {number}", attempts=F("attempts") + 1)
        with transaction.atomic():
            return copies[number].try_move(Task.RUNNING, lease=f"lease {number}", attempts=F("attempts") + 1)

    won = race(move)
    assert sorted(won, key=str) == [False] * (RACERS - 1) + [True]
    winner = won.index(True)
    task.refresh_from_db()
    assert (task.status, task.lease, task.attempts) == (Task.RUNNING, f"lease {winner}", 1)
    assert [copy.status for copy in copies] == [Task.RUNNING if w else Task.QUEUED for w in won]


@pytest.mark.django_db(transaction=True)
def test_every_loser_of_a_race_is_told_the_stored_state(task: Task) -> None:
    copies = [Task.objects.get(pk=task.pk) for _ in range(RACERS)]

    def cancel(number: int) -> Task:
        with transaction.atomic():
            return copies[number].move_to(Task.CANCELLED, error=f"by {number}")

    found = race(cancel)
    won = [one for one in found if isinstance(one, Task)]
    lost = [one for one in found if isinstance(one, InvalidState)]
    assert (len(won), len(lost)) == (1, RACERS - 1)
    assert {str(one) for one in lost} == {"The task is cancelled; it cannot become cancelled."}
    assert lost[0].details == [{"field": "status", "message": "cancelled"}]
    task.refresh_from_db()
    assert task.error == won[0].error


@pytest.mark.django_db
def test_a_move_changes_the_row_and_the_object_alike(task: Task) -> None:
    assert task.move_to(Task.RUNNING, lease="mine", attempts=F("attempts") + 1) is task
    assert (task.status, task.lease) == (Task.RUNNING, "mine")
    assert task.attempts == 0  # The database computes it; the object does not guess.
    task.refresh_from_db()
    assert (task.status, task.lease, task.attempts) == (Task.RUNNING, "mine", 1)


@pytest.mark.django_db
def test_a_refused_move_changes_nothing(task: Task) -> None:
    assert task.try_move(Task.COMPLETED, progress=1.0) is False
    assert (task.status, task.progress) == (Task.QUEUED, 0)
    task.refresh_from_db()
    assert (task.status, task.progress) == (Task.QUEUED, 0)


@pytest.mark.django_db
def test_a_move_is_judged_by_the_stored_state_and_not_by_the_object(task: Task) -> None:
    stale = Task.objects.get(pk=task.pk)
    task.move_to(Task.RUNNING)
    task.move_to(Task.COMPLETED)
    with pytest.raises(InvalidState, match="The task is completed; it cannot become running"):
        stale.move_to(Task.RUNNING)
    assert stale.status == Task.QUEUED


@pytest.mark.django_db
def test_a_condition_has_to_hold_too(task: Task) -> None:
    task.move_to(Task.RUNNING, lease="mine")
    assert task.try_move(Task.COMPLETED, where={"lease": "theirs"}) is False
    assert task.status == Task.RUNNING
    assert task.try_move(Task.COMPLETED, where={"lease": "mine"}) is True


@pytest.mark.django_db
def test_a_row_that_was_deleted_is_gone(task: Task) -> None:
    Task.objects.filter(pk=task.pk).delete()
    with pytest.raises(InvalidState) as refused:
        task.move_to(Task.RUNNING)
    assert str(refused.value) == "The task is gone; it cannot become running."
    assert refused.value.details == [{"field": "status", "message": "gone"}]
