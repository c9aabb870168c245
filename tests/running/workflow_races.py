"""Races over workflows, over the network: the callers are clients, the ends come from workers."""

import threading
import time
from collections.abc import Callable
from typing import Any

from tests.live import until

from .cast import Cast, at_once
from .history import newest, settled

Json = dict[str, Any]


class Ground:
    """Where they race: an agent whose answers are held back until `go`."""

    def __init__(self, cast: Cast) -> None:
        self.cast = cast
        self.word, self._plan = cast.plan()
        self.agent = cast.live.agent("openai", config=cast.model.config, maxConcurrentTasks=20)
        self._count = 0

    def hold(self) -> threading.Event:
        """Hold the model's answers back from now on."""
        self._plan.go = threading.Event()
        return self._plan.go

    def agent_step(self, key: str, *needs: str, **more: Any) -> Json:
        """A step of the agent, whose prompt nobody else has."""
        prompt = f"{self.word} {self._count} {key}"
        return step(key, "agent", *needs, agentId=self.agent, agentType="custom", prompt=prompt) | more

    def asked(self, *keys: str) -> None:
        """Wait until the model is being asked all of these."""
        for key in keys:
            self.cast.asked(f"{self.word} {self._count} {key}")


class Run:
    """One workflow."""

    def __init__(self, ground: Ground, make: Callable[[], list[Json]], *, start: bool = True) -> None:
        self.ground, self.cast = ground, ground.cast
        ground._count += 1
        self._from, self.steps = newest(self.cast), make()
        template = {"id": f"race-{ground.word}-{ground._count}", "name": "Race", "steps": self.steps}
        self.cast.client.post("/workflow-templates", json=template).raise_for_status()
        made = self.cast.client.post("/workflows", json={"templateId": template["id"]}).raise_for_status()
        self.id = str(made.json()["workflowId"])
        if start:
            assert self.act("start")() == 200

    def act(self, verb: str, body: Json | None = None) -> Callable[[], int]:
        """A call over a connection of its own; its status."""

        def call() -> int:
            with self.cast.live.client() as client:
                return client.post(f"/workflows/{self.id}/{verb}", json=body or {}).status_code

        return call

    def now(self) -> Json:
        """The workflow as it is."""
        return dict(self.cast.client.get(f"/workflows/{self.id}").json()["workflow"])

    def states(self) -> dict[str, str]:
        """The steps' states."""
        return {step["id"]: step["status"] for step in self.now()["steps"]}

    def ended(self) -> str:
        """Wait for its end."""
        until(lambda: self.now()["status"] in ("completed", "failed", "cancelled"), 30)
        return self.settled()

    def settled(self) -> str:
        """Its state; its history is legal."""
        return settled(self.cast, self.id, self.steps, self._from)


def step(key: str, type: str, *needs: str, **more: Any) -> Json:
    """A step."""
    return {"id": key, "name": key.title(), "type": type, "dependsOn": list(needs)} | more


def race(*calls: Callable[[], Any]) -> list[Any]:
    """The answers of calls that are made at once."""
    return [future.result(60) for future in at_once(*calls)]


def twenty_starts(ground: Ground) -> None:
    """One 200, nineteen 409."""
    run = Run(ground, lambda: [ground.agent_step("a"), ground.agent_step("b", "a")], start=False)
    assert sorted(race(*[run.act("start")] * 20)) == [200] + [409] * 19
    assert run.ended() == "completed"


def a_pause_and_the_end_of_the_last_step(ground: Ground) -> None:
    """Paused with nothing left to do, or completed."""
    go = ground.hold()
    run = Run(ground, lambda: [ground.agent_step("a")])
    ground.asked("a")
    paused, _ = race(run.act("pause"), go.set)
    if paused == 200:
        until(lambda: run.states()["a"] == "completed", 10)
        assert run.settled() == "paused"
        assert run.act("resume")() == 200
    assert paused in (200, 409)
    assert run.ended() == "completed"


def a_cancel_and_a_resume(ground: Ground) -> None:
    """Cancelled in any case."""
    go = ground.hold()
    run = Run(ground, lambda: [ground.agent_step("a"), ground.agent_step("b", "a")])
    assert run.act("pause")() == 200
    cancelled, resumed = race(run.act("cancel"), run.act("resume"))
    assert (cancelled, resumed) in ((200, 200), (200, 409))
    go.set()
    assert run.ended() == "cancelled"


def a_cancel_and_the_end_of_a_task(ground: Ground) -> None:
    """Cancelled, and what comes after it never begins; or both steps were quicker."""
    go = ground.hold()
    run = Run(ground, lambda: [ground.agent_step("a"), ground.agent_step("b", "a")])
    ground.asked("a")
    cancelled, _ = race(run.act("cancel"), go.set)
    assert (cancelled, run.ended()) in ((200, "cancelled"), (409, "completed"))


def both_arms_of_a_diamond(ground: Ground) -> None:
    """The join starts once."""
    go = ground.hold()

    def make() -> list[Json]:
        of = ground.agent_step
        return [of("b"), of("c"), of("d", "b", "c")]

    run = Run(ground, make)
    ground.asked("b", "c")
    go.set()
    assert run.ended() == "completed"
    assert len(ground.cast.model.calls_of(f"{ground.word} {ground._count} d")) == 1


def eight_items(ground: Ground) -> None:
    """All of them end in the same moment; the step ends once."""
    go = ground.hold()

    def make() -> list[Json]:
        prompt = f"{ground.word} {ground._count} item-{{{{ item }}}}"
        inner = {"type": "agent", "agentType": "custom", "agentId": ground.agent, "prompt": prompt}
        each = step("each", "foreach", items="[0, 1, 2, 3, 4, 5, 6, 7]", parallel=8, step=inner)
        return [each, ground.agent_step("z", "each")]

    run = Run(ground, make)
    ground.asked(*[f"item-{n}" for n in range(8)])
    go.set()
    assert run.ended() == "completed"
    assert len(ground.cast.model.calls_of(f"{ground.word} {ground._count} z")) == 1


def a_signal_and_a_timeout(ground: Ground) -> None:
    """Somebody decided, or nobody did in time."""
    run = Run(ground, lambda: [step("ok", "approval", timeout=1_000)])
    until(lambda: run.states()["ok"] == "waiting", 5)
    began = time.monotonic()
    time.sleep(max(0.0, 0.97 - (time.monotonic() - began)))
    signalled = run.act("signal", {"stepId": "ok", "approved": True})()
    assert (signalled, run.ended()) in ((200, "completed"), (409, "failed"))


def two_signals(ground: Ground) -> None:
    """The first one counts."""
    run = Run(ground, lambda: [step("ok", "approval")])
    until(lambda: run.states()["ok"] == "waiting", 5)
    answers = race(*(run.act("signal", {"stepId": "ok", "approved": approved}) for approved in (True, False)))
    assert sorted(answers) == [200, 409]
    assert run.ended() == ("completed" if answers[0] == 200 else "failed")


Race = Callable[[Ground], None]
RACES: tuple[Race, ...] = (
    twenty_starts,
    a_pause_and_the_end_of_the_last_step,
    a_cancel_and_a_resume,
    a_cancel_and_the_end_of_a_task,
    both_arms_of_a_diamond,
    eight_items,
    a_signal_and_a_timeout,
    two_signals,
)
