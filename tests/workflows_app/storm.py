"""Everybody does everything at once, to a few workflows and their agents: nobody may wait for somebody for ever.

PostgreSQL ends a circle of waiting transactions after a second by failing one of them; here that is a failed test.
"""

import contextlib
import random
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import connections

from agents_app import actions, continuing, leases, retiring, routing
from agents_app.continuing import Place
from agents_app.models import Agent, Task
from taskmaster.core.errors import ApiError
from workflows_app import waking
from workflows_app.models import Workflow, WorkflowStep

from .stored import check
from .working import Runs, agent, step

THREADS = 6


class Storm:
    """So many threads, each of which does so many things that are chosen by lot."""

    def __init__(self, runs: Runs, seed: int) -> None:
        self._runs, self._seed = runs, seed
        self._agents = [runs.agent, *(self._hired(n) for n in range(2))]
        self._workflows = [self._workflow() for _ in range(4)]
        self.problems: list[BaseException] = []
        self._doings: list[Callable[[random.Random], Any]] = [self._end] * 6 + [self._claim] * 4
        self._doings += [self._fail, self._cancel_task, self._act, self._act, self._signal, self._sweep, self._switch]
        self._doings += [self._renew, self._reap, self._start_another]

    def run(self, count: int) -> None:
        """Raises the first problem; then every workflow's history must be legal."""
        threads = [threading.Thread(target=self._work, args=[number, count]) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        if self.problems:
            raise self.problems[0]
        Agent.objects.filter(pk__in=self._agents).update(status=Agent.ACTIVE)
        for workflow in self._workflows:
            check(workflow)

    def _work(self, number: int, count: int) -> None:
        dice = random.Random(f"{self._seed} {number}")
        try:
            for _ in range(count):
                with contextlib.suppress(ApiError):  # Somebody else was quicker.
                    dice.choice(self._doings)(dice)
        except BaseException as problem:
            self.problems.append(problem)
        finally:
            connections.close_all()

    def _hired(self, number: int) -> str:
        body = {"name": f"other {number}", "type": "custom", "backend": "echo", "maxConcurrentTasks": 3}
        return str(self._runs.person.post("/agents", body).json()["agent"]["id"])

    def _workflow(self) -> str:
        inner = {"type": "agent", "agentType": "custom", "prompt": "{{ item }}"}
        return self._runs.started(
            agent("a"),
            *(agent(f"b{n}", "a", onFailure="continue", retries=1, retryDelay=0) for n in range(4)),
            step("each", "foreach", "a", items="[1, 2, 3, 4]", parallel=2, step=inner, onFailure="continue"),
            step("ok", "approval", "a", timeout=60_000, onTimeout="continue"),
            step("check", "condition", "b0", expression="true"),
            agent("join", "b0", "b1", "b2", "b3", "each", "check"),
            agent("last", "join", "ok"),
        )

    def _start_another(self, dice: random.Random) -> None:
        self._workflows.append(self._workflow())

    def _held(self, dice: random.Random) -> Task | None:
        found = list(leases.held().filter(agent__in=self._agents).select_related("agent")[:20])
        return dice.choice(found) if found else None

    def _end(self, dice: random.Random) -> None:
        task = self._held(dice)
        if task:
            place = Place("worker_x", task, lambda agent: True, lambda task: None)
            with continuing.offered(place):
                leases.complete(task, result={"content": "done"})

    def _fail(self, dice: random.Random) -> None:
        task = self._held(dice)
        if task:
            # Of the agent's own making, so that its row is counted in.
            leases.fail(task, error="no", code="agent_failed")

    def _claim(self, dice: random.Random) -> None:
        leases.claim(dice.choice(self._agents), "worker_x", 3, ready=lambda agent: True)

    def _cancel_task(self, dice: random.Random) -> None:
        tasks = Task.objects.filter(workflow_id__in=self._workflows, status__in=Task.UNFINISHED)
        found = list(tasks.values_list("pk", flat=True)[:20])
        if found:
            self._call(f"/tasks/{dice.choice(found)}/cancel")

    def _act(self, dice: random.Random) -> None:
        verb = dice.choice(["pause", "resume", "resume", "resume", "retry", "retry", "cancel"])
        self._call(f"/workflows/{dice.choice(self._workflows)}/{verb}")

    def _signal(self, dice: random.Random) -> None:
        body = {"stepId": "ok", "approved": dice.random() < 0.7}
        self._call(f"/workflows/{dice.choice(self._workflows)}/signal", body)

    def _call(self, path: str, body: Any = None) -> None:
        answer = self._runs.person.post(path, body)
        assert answer.status_code < 500, answer.content

    def _sweep(self, dice: random.Random) -> None:
        late = WorkflowStep.objects.filter(workflow__in=self._workflows, status="waiting", type="approval")
        for each in (waking.sweep, routing.spread, retiring.finish, actions.expire_due, partial(_is_due, late)):
            each()

    def _switch(self, dice: random.Random) -> None:
        chosen = dice.choice(self._agents[1:])
        self._call(f"/agents/{chosen}/{dice.choice(['pause', 'resume', 'resume'])}")

    def _renew(self, dice: random.Random) -> None:
        held = list(leases.held().filter(agent__in=self._agents).values_list("pk", "lease"))
        dice.shuffle(held)
        leases.renew("worker_x", held)

    def _reap(self, dice: random.Random) -> None:
        task = self._held(dice)
        if task:
            leases.lose(task, overdue=False)


def _is_due(steps: Any) -> None:
    found = steps.first()
    if found and Workflow.objects.filter(pk=found.workflow_id, status=Workflow.RUNNING).exists():
        WorkflowStep.objects.filter(pk=found.pk, status="waiting").update(wake_at=found.started_at)
        waking.wake(found.workflow_id)
