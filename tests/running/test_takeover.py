"""A worker that dies or freezes loses its tasks to another one, and what it says afterwards changes nothing."""

import signal

import pytest

from tests.live import SERVICES, until

from .cast import Cast
from .ledger import all_events, ends
from .model import answer_to

TASKS = 12


def workers_of(cast: Cast, agent: str) -> dict[str, int]:
    """Which process runs which of the agent's tasks."""
    query = (
        "SELECT t.id, w.pid FROM agents_app_task t JOIN agents_app_worker w ON w.id = t.worker_id "
        f"WHERE t.agent_id = '{agent}' AND t.status = 'running'"
    )
    return dict(cast.live.sql(query))


def running(cast: Cast, name: str) -> int:
    """How many tasks a worker process last said that it runs."""
    ((count,),) = cast.live.sql(f"SELECT running FROM agents_app_worker WHERE pid = {cast.live.pid(name)}")
    return int(count)


def check_told_once(cast: Cast, tasks: dict[str, str], attempts: int) -> None:
    """All have ended well, once, at that attempt."""
    told = ends(all_events(cast), "task")
    for task, content in tasks.items():
        found = cast.task_now(task)
        assert (found["status"], found["attempts"]) == ("completed", attempts)
        assert found["result"]["content"] == answer_to(content)
        assert told[task] == ["completed"]
        assert len(cast.model.calls_of(content)) == attempts


@pytest.mark.skipif(not SERVICES, reason="needs several workers")
def test_the_tasks_of_a_dead_and_of_a_frozen_worker_are_taken_over(cast: Cast) -> None:
    word, plan = cast.plan(go=cast.gate())
    agent = cast.agent(limit=TASKS)
    tasks = {cast.task(agent, content): content for content in (f"{word} {n}" for n in range(TASKS))}
    both = {cast.live.pid("worker0"), cast.live.pid("worker1")}
    held = until(lambda: len(found := workers_of(cast, agent)) == TASKS and found)
    assert set(held.values()) == both
    cast.live.start_worker(2)
    until(lambda: cast.live.sql(f"SELECT 1 FROM agents_app_worker WHERE pid = {cast.live.pid('worker2')}"))

    cast.live.kill("worker0")
    cast.live.processes["worker1"].send_signal(signal.SIGSTOP)
    taken = until(lambda: set(workers_of(cast, agent).values()) == {cast.live.pid("worker2")}, 20)
    assert taken
    plan.go.set()
    until(lambda: all(cast.task_now(task)["status"] == "completed" for task in tasks))
    # It has its answers by now, and tells them.
    cast.live.processes["worker1"].send_signal(signal.SIGCONT)
    until(lambda: running(cast, "worker1") == 0)
    check_told_once(cast, tasks, attempts=2)
    cast.live.kill("worker2", signal.SIGTERM)
    del cast.live.processes["worker2"]


@pytest.mark.skipif(SERVICES, reason="with several workers another one takes over")
def test_a_process_that_takes_a_task_from_itself_runs_it_once(cast: Cast) -> None:
    word, plan = cast.plan(go=cast.gate())
    agent = cast.agent(limit=1)
    task = cast.task(agent, word)
    cast.asked(word)

    def overdue() -> bool:
        # As after a pause of the whole machine: the sweep may see it before the lease is renewed.
        cast.live.sql(
            f"UPDATE agents_app_task SET lease_expires_at = '2020-01-01' WHERE id = '{task}' AND attempts = 1"
        )
        return bool(cast.task_now(task)["attempts"] == 2)

    until(overdue, 30)
    # What it had begun is called off, and its end leaves alone what has begun again.
    first = cast.model.calls_of(word)[0]
    until(lambda: first.cut, 5)
    until(lambda: running(cast, "web0") == 1)
    plan.go.set()
    until(lambda: cast.task_now(task)["status"] == "completed")
    check_told_once(cast, {task: word}, attempts=2)
    until(lambda: running(cast, "web0") == 0)
