"""Several workers and callers after the same tasks at the same moment: what must hold whoever is first."""

from agents_app import leases
from agents_app.models import Task
from tests.api.racing import at_once
from tests.api.working import claim, overdue, told
from tests.api.world import World
from tests.conftest import Person


def claims_never_take_a_task_twice_nor_too_many(alice: Person, world: World) -> None:
    """Six workers claim, three times each, from an agent that may run seven."""
    alice.patch(f"/agents/{world['agent']}", {"maxConcurrentTasks": 7})
    made = [world.submit() for _ in range(12)]
    calls = [lambda n=n: [ids(claim(world["agent"], 2, f"worker_{n}")) for _ in range(3)] for n in range(6)]
    taken = [pk for each in at_once(*calls) for some in each for pk in some]
    assert len(taken) == len(set(taken)) == 7
    assert set(taken) == set(made[:7])
    assert Task.objects.filter(status="running").count() == 7
    assert set(Task.objects.filter(status="running").values_list("attempts", flat=True)) == {1}


def claims_of_several_agents_keep_the_sessions_limit(alice: Person, world: World) -> None:
    """Four agents after a session that may run three."""
    alice.patch(f"/sessions/{world['session']}", {"configuration": {"maxConcurrentTasks": 3}})
    worlds = [world, World(alice), World(alice), World(alice)]
    for each in worlds:
        for _ in range(3):
            each.submit(sessionId=world["session"])
    taken = at_once(*[lambda each=each: ids(claim(each["agent"], 3)) for each in worlds])
    assert sum(map(len, taken)) == 3
    assert Task.objects.filter(status="running").count() == 3


def a_claim_and_a_cancel_leave_one_winner(alice: Person, world: World) -> None:
    """A worker takes what its caller calls off."""
    for _ in range(5):
        task_id = world.submit()
        cancelled, claimed = at_once(
            lambda task_id=task_id: alice.post(f"/tasks/{task_id}/cancel").status_code, lambda: claim(world["agent"])
        )
        row = Task.objects.get(pk=task_id)
        assert (cancelled, row.status) == (200, "cancelled")
        assert all(not leases.complete(task, result={}) for task in claimed)
        assert Task.objects.get(pk=task_id).status == "cancelled"


def ends_at_once_have_one_winner(alice: Person, world: World) -> None:
    """One lease in four hands."""
    assert world["task"]
    (task,) = claim(world["agent"])
    copies = [Task.objects.get(pk=task.pk) for _ in range(4)]
    won = at_once(*[lambda c=c, n=n: leases.complete(c, result={"content": str(n)}) for n, c in enumerate(copies)])
    assert sorted(won) == [False, False, False, True]
    assert Task.objects.get().result == {"content": str(won.index(True))}
    assert len(told(alice.org, "task.completed")) == 1


def reapers_at_once_give_a_task_back_once(alice: Person, world: World) -> None:
    """Four sweeps find the same lost task."""
    assert world["task"]
    (task,) = claim(world["agent"])
    overdue(task)
    taken = at_once(*[leases.reap] * 4)
    assert sum(map(len, taken)) == 1
    row = Task.objects.get()
    assert (row.lost, row.status) == (1, "queued")
    assert len(told(alice.org, "task.retrying")) == 1


def retries_at_once_have_one_winner(alice: Person, world: World) -> None:
    """Four callers retry the same cancelled task."""
    path = f"/tasks/{world['cancelled_task']}/retry"
    before = len(told(alice.org, "task.queued"))
    answers = at_once(*[lambda: alice.post(path).status_code] * 4)
    assert sorted(answers) == [200, 409, 409, 409]
    assert len(told(alice.org, "task.queued")) == before + 1


RACES = (
    claims_never_take_a_task_twice_nor_too_many,
    claims_of_several_agents_keep_the_sessions_limit,
    a_claim_and_a_cancel_leave_one_winner,
    ends_at_once_have_one_winner,
    reapers_at_once_give_a_task_back_once,
    retries_at_once_have_one_winner,
)


def ids(tasks: list[Task]) -> list[str]:
    """Theirs."""
    return [task.pk for task in tasks]
