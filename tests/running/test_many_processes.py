"""Many processes race for the same work: no agent goes over its limit, nothing is run twice, everything ends."""

import os
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.live import SERVICES, until

from .cast import Cast
from .ledger import all_events, ends, most_held
from .runs import Crew, Run, most_at_once, of_model

# What the agents may run at once, by backend.
LIMITS = {"openai": (2, 3), "runner": (1, 2, 3), "echo": (2,)}
SECONDS = 0.1


class Race:
    """Agents of three kinds, runner processes for theirs, and tasks for all of them, some for whoever is free."""

    def __init__(self, cast: Cast, crew: Crew, *, runners: int, tasks: int) -> None:
        self.cast, self.crew = cast, crew
        self.word, _ = cast.plan(pause=SECONDS / 2)
        self.limits: dict[str, int] = {}
        self.keys: dict[str, str] = {}
        self.of_runners = [self._agent("runner", limit) for limit in LIMITS["runner"]]
        self.others = [self._agent(backend, n) for backend in ("openai", "echo") for n in LIMITS[backend]]
        for number in range(runners):
            crew.hire(self.of_runners[number % len(self.of_runners)], seconds=SECONDS)
        self.contents = {f"{self.word} {uuid.uuid4().hex}": number for number in range(tasks)}

    def run(self, seconds: float) -> None:
        """Post everything, four at a time, and wait until it has ended.

        A part of it waits for each agent before it may begin, so that all are full; the rest comes while all work.
        """
        items = list(self.contents.items())
        early = [item for item in items[: len(items) // 2] if item[1] % 4]
        self.tasks: dict[str, str] = {}
        self._tell_all("pause")
        self._post_all(early)
        self._tell_all("resume")
        self._post_all([item for item in items if item not in early])
        until(lambda: not self._unfinished(), seconds, 0.2)
        self.crew.dismiss()

    def _tell_all(self, what: str) -> None:
        for agent in self.limits:
            self.cast.client.post(f"/agents/{agent}/{what}").raise_for_status()

    def _post_all(self, items: list[tuple[str, int]]) -> None:
        with ThreadPoolExecutor(4) as pool:
            posted = pool.map(self._post, items)
            self.tasks |= {task: content for task, (content, _) in zip(posted, items, strict=True)}

    def check(self) -> None:
        """Nothing was lost, run twice, or run beside more than its agent may."""
        now = {task["id"]: task for agent in self.limits for task in self.cast.all("/tasks", "tasks", agentId=agent)}
        assert now.keys() == self.tasks.keys()
        assert {(task["status"], task["attempts"]) for task in now.values()} == {("completed", 1)}
        self._check_runs({pk: task["agentId"] for pk, task in now.items()})
        events = [event for event in all_events(self.cast) if event["data"].get("taskId") in self.tasks]
        assert ends(events, "task") == {task: ["completed"] for task in self.tasks}
        started = [event["data"]["taskId"] for event in events if event["eventType"] == "task.started"]
        assert sorted(started) == sorted(self.tasks)
        held = most_held(events)
        assert {agent: held[agent] for agent in self.limits} == self.limits

    def _check_runs(self, agents: dict[str, str]) -> None:
        """As those who did the work saw it; the echo agent answers inside of the worker."""
        calls = [call for call in self.cast.model.calls if call.content in self.contents]
        runs = self.crew.runs() + of_model(calls, self.keys, {content: pk for pk, content in self.tasks.items()})
        seen = {agent for agent in self.limits if agent in self.of_runners or agent in self.keys.values()}
        assert Counter(run.task for run in runs) == Counter(pk for pk, agent in agents.items() if agent in seen)
        assert all(run.whole and agents[run.task] == run.agent for run in runs)
        # They see less at once than is held: who does the work begins a moment after its lease.
        most = most_at_once(runs, by_agent)
        assert most.keys() == seen
        assert all(count <= self.limits[agent] for agent, count in most.items())

    def _agent(self, backend: str, limit: int) -> str:
        key = uuid.uuid4().hex
        config = self.cast.model.config | {"apiKey": key} if backend == "openai" else {}
        about = {"maxConcurrentTasks": limit, "capabilities": [self.word]}
        agent = self.cast.live.agent(backend, config=config, **about)
        self.limits[agent] = limit
        if backend == "openai":
            self.keys[key] = agent
        return agent

    def _post(self, what: tuple[str, int]) -> str:
        content, number = what
        body = {"type": self.word, "description": content}
        everybody = [*self.of_runners, *self.others]
        if number % 4:
            return self._task(f"/agents/{everybody[number % len(everybody)]}/tasks", body)
        return self._task("/tasks", body | {"agentType": "custom", "capabilities": [self.word]})

    def _task(self, path: str, body: dict[str, object]) -> str:
        answer: httpx.Response = self.cast.client.post(path, json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["taskId"])

    def _unfinished(self) -> int:
        found = 0
        for status in ("queued", "running", "waiting"):
            page = self.cast.client.get("/tasks", params={"type": self.word, "status": status, "limit": 1})
            found += page.raise_for_status().json()["pagination"]["total"]
        return found


def by_agent(run: Run) -> str:
    """Whose run it is."""
    return run.agent


def test_a_dozen_processes_race(cast: Cast, crew: Crew) -> None:
    race = Race(cast, crew, runners=12, tasks=150)
    race.run(40)
    race.check()


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("number", range(max(1, int(os.environ.get("SOAK_ROUNDS", "20")) // 4)))
def test_twenty_processes_race_over_five_hundred_tasks(cast: Cast, crew: Crew, number: int) -> None:
    if SERVICES:
        cast.live.start_worker(2)
    race = Race(cast, crew, runners=17 if SERVICES else 19, tasks=500)
    try:
        race.run(300)
        race.check()
    finally:
        if SERVICES:
            cast.live.kill("worker2")
            del cast.live.processes["worker2"]
