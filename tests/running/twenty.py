"""A workflow of twenty steps, of every type that there is, and what must have come of it."""

import uuid
from collections import defaultdict
from typing import Any

from tests.live import until
from tests.workflows_app.legal import Event, complaints

from .cast import FINISHED, Cast
from .history import rows_of
from .visits import Visited

Json = dict[str, Any]
ITEMS = ("x", "y", "z")


class Twenty:
    """One run of it. Its steps ask the model and the web server things that nobody else asks."""

    def __init__(self, cast: Cast, visited: Visited) -> None:
        self._cast, self._visited = cast, visited
        self.word, _ = cast.plan(pause=0.03)
        self.flaky, _ = cast.plan(refusals=[400])
        agents = {"config": cast.model.config, "capabilities": [self.word], "maxConcurrentTasks": 8}
        self.agent = cast.live.agent("openai", **agents)
        self.steps = self._steps()
        template = {"id": f"twenty-{self.word}", "name": "Twenty", "steps": self.steps}
        cast.client.post("/workflow-templates", json=template).raise_for_status()
        made = cast.client.post("/workflows", json={"templateId": template["id"]}).raise_for_status()
        self.id = str(made.json()["workflowId"])

    def start(self) -> "Twenty":
        """Start it."""
        self._cast.client.post(f"/workflows/{self.id}/start", headers=_once()).raise_for_status()
        return self

    def now(self) -> Json:
        """The workflow as it is."""
        return dict(self._cast.client.get(f"/workflows/{self.id}").raise_for_status().json()["workflow"])

    def ended(self, seconds: float) -> Json:
        """The workflow once it has ended; whoever is asked says yes."""

        def look() -> Json | None:
            found = self.now()
            if any(step["id"] == "ok" and step["status"] == "waiting" for step in found["steps"]):
                signal = {"stepId": "ok", "approved": True, "data": {"by": "hand"}}
                self._cast.client.post(f"/workflows/{self.id}/signal", json=signal).raise_for_status()
            return found if found["status"] in FINISHED else None

        return dict(until(look, seconds, 0.1))

    def check(self, events: list[Json]) -> None:
        """It has ended well, its history is legal, and everything in it was done once."""
        found = self.now()
        assert found["status"] == "completed", found
        rows = rows_of(self._cast, self.id, self.steps)
        told = [(e["eventType"], e["data"]) for e in events if e["data"].get("workflowId") == self.id]
        assert complaints(told, rows) == []
        self._check_results({step["id"]: step for step in found["steps"]})
        self._check_effects(rows.tasks, told)

    def _check_results(self, steps: dict[str, Json]) -> None:
        states = {key: step["status"] for key, step in steps.items()}
        assert states == dict.fromkeys(steps, "completed") | {"unlikely": "skipped", "after": "skipped"}
        assert steps["ok"]["result"]["data"] == {"by": "hand"}
        assert [item["content"].split()[2] for item in steps["each"]["result"]["items"]] == [f"item-{i}" for i in ITEMS]
        assert steps["tell"]["result"]["json"]["path"] == f"/{self.word}/tell"
        assert self._visited.visits[f"/{self.word}/tell"][0] == {"parts": list(ITEMS), "n": 3}
        assert f"{self.word} uses {ITEMS[0]}" in steps["uses"]["result"]["content"]
        assert steps["flaky"]["attempt"] in (1, 2)

    def _check_effects(self, tasks: list[Json], told: list[Event]) -> None:
        """Once; or, where the worker died while it ran, at most once more for each time."""
        lost = [d["taskId"] for kind, d in told if kind == "task.retrying" and d["error"].startswith("The worker was")]
        of_words = defaultdict(list)
        for task in tasks:
            assert task["attempts"] == 1 + lost.count(task["id"]), task
            of_words[task["description"]].append(task)
        # The step that is refused once has a task for each of its attempts, with the same words.
        assert {words for words, several in of_words.items() if len(several) > 1} <= {f"{self.flaky} flaky"}
        assert len(of_words) == 12 + len(ITEMS) + 2
        for words, several in of_words.items():
            effects, again = self._effects(words), sum(lost.count(task["id"]) for task in several)
            assert len(several) <= effects <= len(several) + again, (words, effects, several)

    def _effects(self, words: str) -> int:
        method, _, url = words.partition(" ")
        if method in ("GET", "POST"):
            return len(self._visited.visits[url.removeprefix(self._visited.url)])
        return len(self._cast.model.calls_of(words))

    def _steps(self) -> list[Json]:
        parts = '{"parts": ["x", "y", "z"]}'
        item = self._inner(f"{self.word} item-{{{{ item }}}}")
        body = {"parts": "{{ steps.plan.result.json.parts }}", "n": "{{ steps.plan.result.json.parts | length }}"}
        tell = {"method": "POST", "url": f"{self._visited.url}/{self.word}/tell", "body": body}
        return [
            self._agent("plan", text=f"plans {parts}"),
            _step("check", "condition", "plan", expression="steps.plan.result.json.parts | length == 3"),
            _step("each", "foreach", "check", items="steps.plan.result.json.parts", parallel=2, step=item),
            _step("nap", "wait", "plan", duration=300),
            _step("ask", "http", "nap", url=f"{self._visited.url}/{self.word}/ask"),
            _step("tell", "http", "ask", **tell),
            self._agent("uses", "plan", text="uses {{ steps.plan.result.json.parts[0] }}"),
            self._agent("left", "uses"),
            self._agent("right", "uses"),
            self._agent("join", "left", "right", "tell"),
            _step("ok", "approval", "each", message="Go on?"),
            self._agent("approved", "ok", "join"),
            _step("unlikely", "condition", "approved", when="stepData.never", expression="true"),
            self._agent("after", "unlikely"),
            self._agent("flaky", "approved", word=self.flaky, retries=2, retryDelay=100),
            self._agent("one", "flaky"),
            self._agent("two", "flaky"),
            self._agent("three", "flaky"),
            self._agent("four", "one", "two", "three"),
            self._agent("end", "four", "after"),
        ]

    def _agent(self, key: str, *needs: str, text: str = "", word: str = "", **more: Any) -> Json:
        return _step(key, "agent", *needs, **self._inner(f"{word or self.word} {text or key}"), **more)

    def _inner(self, prompt: str) -> Json:
        return {"type": "agent", "agentType": "custom", "capabilities": [self.word], "prompt": prompt}


def _step(key: str, kind: str, *needs: str, **more: Any) -> Json:
    return {"id": key, "name": key.title(), "dependsOn": list(needs)} | more | {"type": kind}


def _once() -> dict[str, str]:
    return {"Idempotency-Key": uuid.uuid4().hex}
