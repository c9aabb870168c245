"""Fifty messages and tasks in every state there is, and what must have become of them in the end."""

import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.live import until

from .cast import FINISHED, Cast
from .ledger import all_events, ends, order
from .model import answer_to

# word of the plan → how it must end
OUTCOMES = {
    "steady": "completed",
    "held": "completed",
    "flaky": "completed",
    "failing": "failed",
    "paused": "completed",
}


@dataclass
class Work:
    """Posted by `begin`; `finish` lets everything go on that was held back, and `check` looks at how it ended."""

    cast: Cast
    words: dict[str, str] = field(default_factory=dict)
    agents: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, list[str]] = field(default_factory=dict)  # session → its messages
    ended_as: dict[str, str] = field(default_factory=dict)  # message or task → how it must end
    tasks: list[str] = field(default_factory=list)
    go: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> "Work":
        """Post it all."""
        plans: dict[str, dict[str, Any]] = {word: {} for word in OUTCOMES}
        plans |= {"steady": {"pause": 0.1}, "held": {"go": self.go}}
        plans |= {"flaky": {"refusals": [503]}, "failing": {"refusals": [400]}}
        self.words = {word: self.cast.plan(**plan)[0] for word, plan in plans.items()}
        self.agents = {word: self.cast.agent(limit=2 if word == "held" else 4) for word in OUTCOMES}
        self.cast.client.post(f"/agents/{self.agents['paused']}/pause").raise_for_status()
        for word, talks in (("steady", 3), ("held", 2), ("flaky", 1), ("failing", 1), ("paused", 1)):
            for _ in range(talks):
                self._talk(word, 4)
            self._tasks(word, 5 if word == "steady" else 3)
        self._cancel_some()
        return self

    def states(self) -> set[str]:
        """The states that its tasks are in."""
        found = {task["status"] for task in self._now()}
        return found | {"retried" for task in self._now() if task["attempts"] and task["status"] == "queued"}

    def finish(self, seconds: float) -> None:
        """Hold nothing back any more, and wait until everything has ended."""
        self.go.set()
        self.cast.client.post(f"/agents/{self.agents['paused']}/resume").raise_for_status()
        until(lambda: all(status in FINISHED for status in self._statuses()), seconds, 0.2)

    def check(self, events: list[dict[str, Any]] | None = None) -> None:
        """Everything has ended once, as it had to, in order, and was not asked more often than it was begun."""
        events = events or all_events(self.cast)
        for session, ids in self.sessions.items():
            messages = self.cast.messages(session)
            assert [message["id"] for message in messages] == ids
            assert {m["id"]: m["status"] for m in messages} == {pk: self.ended_as[pk] for pk in ids}
            assert [m["id"] for m in messages if m["response"]] == [
                pk for pk in ids if self.ended_as[pk] == "completed"
            ]
            assert all(m["response"]["content"] == answer_to(m["content"]) for m in messages if m["response"])
            begun = order(events, session, "message.started")
            assert begun == [pk for pk in ids if pk in begun], "begun once, in order"
            finished = order(events, session, "message.completed", "message.failed")
            assert finished == [pk for pk in ids if pk in finished]
        told = ends(events, "message") | ends(events, "task")
        assert {pk: told[pk] for pk in self.ended_as} == {pk: [end] for pk, end in self.ended_as.items()}
        for task in self._now():
            calls = self.cast.model.calls_of(task["description"])
            assert len(calls) <= task["attempts"], task
            assert told[task["id"]] == [task["status"]]

    def _talk(self, word: str, count: int) -> None:
        session = self.cast.session(self.agents[word])
        ids = [self.cast.post(session, f"{self.words[word]} {uuid.uuid4().hex}") for _ in range(count)]
        self.sessions[session] = ids
        self.ended_as |= dict.fromkeys(ids, OUTCOMES[word])

    def _tasks(self, word: str, count: int) -> None:
        for _ in range(count):
            self.tasks.append(self.cast.task(self.agents[word], f"{self.words[word]} {uuid.uuid4().hex}"))
            self.ended_as[self.tasks[-1]] = OUTCOMES[word]

    def _cancel_some(self) -> None:
        """One that runs and one that waits, of messages and of tasks."""
        held = [(session, ids) for session, ids in self.sessions.items() if self.ended_as[ids[0]] == "completed"]
        session, ids = held[3]
        for message in (ids[0], ids[2]):
            self.cast.client.post(f"/sessions/{session}/messages/{message}/cancel").raise_for_status()
            self.ended_as[message] = "cancelled"
        self.cast.client.post(f"/tasks/{self.tasks[-1]}/cancel").raise_for_status()
        self.ended_as[self.tasks[-1]] = "cancelled"

    def _now(self) -> list[dict[str, Any]]:
        """Its tasks as they are, those of its messages included."""
        return [task for agent in self.agents.values() for task in self.cast.all("/tasks", "tasks", agentId=agent)]

    def _statuses(self) -> Iterator[str]:
        yield from (task["status"] for task in self._now())
        for session in self.sessions:
            yield from (message["status"] for message in self.cast.messages(session))


class Poster:
    """A client that says one thing after the other, each with a key of its own, whatever becomes of the server."""

    def __init__(self, cast: Cast) -> None:
        self.word, _ = cast.plan()
        self.cast = cast
        self.session = cast.session(cast.agent())
        self.keys: list[str] = []
        self.accepted: dict[str, str] = {}  # key → message
        self.refusals: list[str] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._post_for_ever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Say nothing new."""
        self._ending.set()
        self._thread.join(30)
        assert self.refusals == []

    def repeat(self) -> None:
        """Say again what was not answered."""
        self.stop()
        for key in self.keys:
            message = self._say(key)
            assert self.accepted.setdefault(key, message) == message

    def check(self) -> None:
        """Everything it said was heard once."""
        messages = self.cast.messages(self.session)
        assert [message["id"] for message in messages] == list(dict.fromkeys(m["id"] for m in messages))
        assert {m["content"]: m["id"] for m in messages} == {f"{self.word} {k}": m for k, m in self.accepted.items()}
        assert len(messages) == len(self.keys)
        until(lambda: all(m["status"] == "completed" for m in self.cast.messages(self.session)), 40, 0.2)

    def _post_for_ever(self) -> None:
        while not self._ending.wait(0.02):
            self.keys.append(uuid.uuid4().hex)
            try:
                self.accepted[self.keys[-1]] = self._say(self.keys[-1])
            except (httpx.TransportError, httpx.HTTPStatusError):
                self._ending.wait(0.5)

    def _say(self, key: str) -> str:
        headers = {"prefer": "respond-async", "idempotency_key": key}
        answer = self.cast.say(self.session, f"{self.word} {key}", **headers)
        if 400 <= answer.status_code < 500:
            self.refusals.append(answer.text)
        return str(answer.raise_for_status().json()["messageId"])
