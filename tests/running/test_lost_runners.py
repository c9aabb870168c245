"""A runner that is killed: its agent is offline after thirty seconds, and what it held is taken back at once."""

import time
from typing import Any

import pytest

from tests.live import until

from .cast import Cast
from .ledger import all_events, ends
from .runs import Crew, Run, Runner

GONE_SECONDS = 30
# The sweep that takes back comes every two seconds.
SWEPT = 5
FOR_EVER = 1000


def status(cast: Cast, agent: str) -> str:
    """As the agent is shown."""
    return str(cast.client.get(f"/agents/{agent}").raise_for_status().json()["agent"]["status"])


def killed_at_work(cast: Cast, crew: Crew) -> tuple[str, str, Runner]:
    """An agent, its task, and the runner that was killed while it ran it."""
    agent = cast.live.agent("runner", maxConcurrentTasks=1)
    task, runner = cast.task(agent, "dig"), crew.hire(agent, seconds=FOR_EVER)
    until(runner.runs)
    assert status(cast, agent) == "busy"
    runner.kill()
    return agent, task, runner


def check_taken_over(cast: Cast, crew: Crew, agent: str, task: str) -> dict[str, Any]:
    """Another runner runs it to its end. Returns the task."""
    second = crew.hire(agent)
    until(lambda: cast.task_now(task)["status"] == "completed")
    now = cast.task_now(task)
    assert (now["attempts"], now["error"], now["result"]) == (2, None, {"content": "ran dig"})
    runs: list[Run] = crew.runs()
    assert [run.whole for run in runs] == [False, True]
    assert [run.task for run in second.runs()] == [task]
    assert ends(all_events(cast), "task")[task] == ["completed"]
    return now


def test_what_a_killed_runner_held_goes_to_another(cast: Cast, crew: Crew) -> None:
    agent, task, _ = killed_at_work(cast, crew)
    # As if it had been silent for so long.
    cast.live.sql(f"UPDATE agents_app_agent SET last_heartbeat = '2020-01-01 00:00:00+00' WHERE id = '{agent}'")
    until(lambda: cast.task_now(task)["status"] == "queued", SWEPT)
    assert status(cast, agent) == "offline"
    check_taken_over(cast, crew, agent, task)


@pytest.mark.soak
def test_it_takes_thirty_seconds_and_no_longer(cast: Cast, crew: Crew) -> None:
    began = time.monotonic()
    agent, task, _ = killed_at_work(cast, crew)
    died = time.monotonic()
    until(lambda: status(cast, agent) == "offline", GONE_SECONDS + SWEPT)
    assert time.monotonic() - began > GONE_SECONDS
    until(lambda: cast.task_now(task)["status"] == "queued", SWEPT)
    assert time.monotonic() - died < GONE_SECONDS + SWEPT
    check_taken_over(cast, crew, agent, task)


@pytest.mark.soak
def test_one_that_waits_for_work_keeps_the_agent_there(cast: Cast, crew: Crew) -> None:
    """The busy one is silent, the other one waits as long as it may each time: neither is taken for gone."""
    agent = cast.live.agent("runner", maxConcurrentTasks=2)
    task, busy = cast.task(agent, "dig"), crew.hire(agent, seconds=45)
    until(busy.runs)
    until_done = time.monotonic() + 45
    while time.monotonic() < until_done:
        cast.client.post(f"/agents/{agent}/lease", json={"wait": 29_900}).raise_for_status()
        assert status(cast, agent) == "active"
    until(lambda: cast.task_now(task)["status"] == "completed", SWEPT)
    assert cast.task_now(task)["attempts"] == 1
