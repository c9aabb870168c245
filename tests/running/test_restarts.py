"""kill -9 of anything at any moment while work comes in: nothing is lost, and the next task is done within seconds."""

import math
import os
import random
import threading
import time
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.live import SERVICES, until

from .cast import FINISHED, Cast
from .ledger import all_events, ends, most_held
from .runs import Crew, most_at_once, of_model

KINDS = ("everything", "workers", "worker0", "worker1", "webs", "web0", "web1", "runner")
SECONDS = 15.0
# A lease of a runner that died while others of its agent live on.
LEASE_SECONDS = 60
LIMITS = {"openai": 2, "echo": 4, "runner": 8}
# How long a task takes, and how often another one comes for each agent: the places of the first are always taken.
WORKING = 0.3


class Traffic:
    """Clients that give three agents one task after the other, each with a key, whatever becomes of the server."""

    def __init__(self, cast: Cast, crew: Crew) -> None:
        self.cast, self.crew = cast, crew
        self.word, _ = cast.plan(pause=WORKING / 2)
        self.key = uuid.uuid4().hex
        config = {"openai": cast.model.config | {"apiKey": self.key}}
        self.agents = {
            cast.live.agent(backend, config=config.get(backend, {}), maxConcurrentTasks=limit): limit
            for backend, limit in LIMITS.items()
        }
        self.model, _, self.runner = self.agents
        for _ in range(4):
            self.hire()
        self.accepted: dict[str, str] = {}  # task → its content
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._post_for_ever, args=[agent]) for agent in self.agents]
        for thread in self._threads:
            thread.start()

    def hire(self) -> None:
        """One more runner."""
        self.crew.hire(self.runner, seconds=WORKING)

    def recovered(self, killed: datetime) -> bool:
        """Whether every agent has done something that it has begun since."""
        query = "SELECT DISTINCT agent_id FROM agents_app_task WHERE type = 'restart' AND status = 'completed'"
        since = f"{killed:%Y-%m-%d %H:%M:%S.%f}+00"
        return len(self.cast.live.sql(f"{query} AND started_at > '{since}'")) == len(self.agents)

    def stop(self) -> None:
        """Post nothing new."""
        self._ending.set()
        for thread in self._threads:
            thread.join(60)

    def _post_for_ever(self, agent: str) -> None:
        with self.cast.live.client() as client:
            while not self._ending.wait(WORKING):
                content = f"{self.word} {uuid.uuid4().hex}"
                self.accepted[self._post(client, agent, content)] = content

    def _post(self, client: httpx.Client, agent: str, content: str) -> str:
        """The task's id, however often it must be said."""
        body, key = {"type": "restart", "description": content}, {"Idempotency-Key": content}

        def answered() -> str | None:
            try:
                answer = client.post(f"/agents/{agent}/tasks", json=body, headers=key)
            except httpx.TransportError:
                return None
            return answer.json()["taskId"] if answer.status_code == 202 else None

        return str(until(answered, 60, 0.2))


class Killer:
    """Kills something now and then, and starts it again."""

    def __init__(self, traffic: Traffic) -> None:
        self.traffic, self.live, self.dice = traffic, traffic.cast.live, random.Random(1)
        self.killed: list[tuple[str, datetime]] = []

    def strike(self, kind: str) -> None:
        """One kill, and the wait until work is done again."""
        time.sleep(self.dice.uniform(0.2, 1.5))
        moment = datetime.now(UTC)
        if kind == "runner":
            self.dice.choice([runner for runner in self.traffic.crew.runners if runner.lives]).kill()
            self.traffic.hire()
        else:
            group = kind.removesuffix("s")
            names = self.live.names(group) if kind != group else [kind]
            self.live.kill_all(*(names if kind != "everything" else ()))
            self.live.start()
        self.killed.append((kind, moment))
        until(lambda: self.traffic.recovered(moment), LEASE_SECONDS, 0.1)


def kinds(count: int) -> list[str]:
    """What is killed, so many times, in some order: everything there is in its turn."""
    there = KINDS if SERVICES else ("everything", "everything", "everything", "runner")
    return [there[n % len(there)] for n in range(count)]


def recovery(tasks: list[dict[str, Any]], agents: Iterable[str], killed: datetime) -> float:
    """Seconds from a kill until every agent had done something that it had begun since."""
    since = [task for task in tasks if datetime.fromisoformat(task["startedAt"]) > killed]
    ended = {
        agent: [datetime.fromisoformat(t["finishedAt"]) for t in since if t["agentId"] == agent] for agent in agents
    }
    return max((min(moments) - killed).total_seconds() for moments in ended.values())


def all_ended(cast: Cast) -> dict[str, dict[str, Any]] | None:
    """Every task, once none of them has anything before it: each is looked at once, as it may go back to its queue."""
    tasks = {task["id"]: task for task in cast.all("/tasks", "tasks", type="restart")}
    return tasks if all(task["status"] in FINISHED for task in tasks.values()) else None


def check(cast: Cast, traffic: Traffic, tasks: dict[str, dict[str, Any]]) -> None:
    """Nothing lost, nothing ended twice, nothing run beside more than its agent may or by two at once."""
    assert tasks.keys() == traffic.accepted.keys()
    assert {task["status"] for task in tasks.values()} == {"completed"}
    events = [event for event in all_events(cast) if event["data"].get("taskId") in tasks]
    assert ends(events, "task") == {task: ["completed"] for task in tasks}
    held = most_held(events)
    assert all(held[agent] <= limit for agent, limit in traffic.agents.items())
    contents = {content: task for task, content in traffic.accepted.items()}
    calls = [call for call in cast.model.calls if call.content in contents]
    runs = of_model(calls, {traffic.key: traffic.model}, contents) + traffic.crew.runs()
    assert max(most_at_once(runs, lambda run: run.task).values()) == 1
    most = most_at_once(runs, lambda run: run.agent)
    assert all(most[agent] <= limit for agent, limit in traffic.agents.items() if agent in most)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_whatever_is_killed_nothing_is_lost_and_work_goes_on_within_seconds(cast: Cast, crew: Crew) -> None:
    traffic = Traffic(cast, crew)
    killer = Killer(traffic)
    try:
        for kind in kinds(int(os.environ.get("SOAK_ROUNDS", "20"))):
            killer.strike(kind)
    finally:
        traffic.stop()
    tasks = until(lambda: all_ended(cast), LEASE_SECONDS + 20, 0.5)
    check(cast, traffic, tasks)
    took = sorted((recovery(list(tasks.values()), traffic.agents, moment), kind) for kind, moment in killer.killed)
    assert took[math.ceil(0.95 * len(took)) - 1][0] < SECONDS, took
