"""What the tests do with a running installation: open sessions, say things, look at what became of them."""

import json
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any

import httpx

from tests.live import Live, until

from .model import Model, Plan

FINISHED = ("completed", "failed", "cancelled")
ASYNC = {"Prefer": "respond-async"}


class Cast:
    """A client of the installation, with the model behind its agents at hand."""

    def __init__(self, live: Live, model: Model, client: httpx.Client) -> None:
        self.live, self.model, self.client = live, model, client

    def plan(self, **plan: Any) -> tuple[str, Plan]:
        """A word of its own, and how the model answers what begins with it."""
        word = f"w{uuid.uuid4().hex[:8]}"
        return word, self.model.tell(word, **plan)

    @staticmethod
    def gate() -> threading.Event:
        """Shut: what a plan waits for before it ends."""
        return threading.Event()

    def agent(self, limit: int = 8, **config: Any) -> str:
        """An agent that asks the model."""
        return self.live.agent("openai", config=self.model.config | config, maxConcurrentTasks=limit)

    def session(self, agent: str, **configuration: Any) -> str:
        """A session with that agent: its id."""
        body = {"agentType": "custom", "agentId": agent, "configuration": configuration}
        return str(self.client.post("/sessions", json=body).raise_for_status().json()["session"]["id"])

    def say(self, session: str, content: str, **headers: str) -> httpx.Response:
        """Say something, over a connection of its own as another client would; header names like `idempotency_key`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with self.live.client() as client:
            return client.post(f"/sessions/{session}/messages", json={"content": content}, headers=named)

    def hang(self, session: str, content: str, **headers: str) -> HTTPConnection:
        """Say something and do not read the answer: the connection, for the caller to read from or to close."""
        connection = self.half_say(session, content, **headers)
        connection.send(body_of(content)[1:])
        return connection

    def half_say(self, session: str, content: str, **headers: str) -> HTTPConnection:
        """Say something, but of the body only the first byte."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        identity = {name: self.client.headers[name] for name in ("Authorization", "X-Org-ID")}
        body = body_of(content)
        about_it = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        connection = HTTPConnection("127.0.0.1", int(self.live.env["PORT"]), timeout=60)
        connection.request("POST", f"/api/v1/sessions/{session}/messages", body[:1], about_it | identity | named)
        return connection

    def post(self, session: str, content: str) -> str:
        """Say something without waiting: the message's id."""
        answer = self.client.post(f"/sessions/{session}/messages", json={"content": content}, headers=ASYNC)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["messageId"])

    def task(self, agent: str, description: str) -> str:
        """Give an agent a task: its id."""
        answer = self.client.post(f"/agents/{agent}/tasks", json={"type": "test", "description": description})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["taskId"])

    def message(self, session: str, message: str) -> dict[str, Any]:
        """A message as it is now."""
        answer = self.client.get(f"/sessions/{session}/messages/{message}").raise_for_status()
        return dict(answer.json()["message"])

    def task_now(self, task: str) -> dict[str, Any]:
        """A task as it is now."""
        return dict(self.client.get(f"/tasks/{task}").raise_for_status().json()["task"])

    def ended(self, session: str, message: str, seconds: float = 20) -> dict[str, Any]:
        """A message once it has ended."""

        def look() -> dict[str, Any] | None:
            found = self.message(session, message)
            return found if found["status"] in FINISHED else None

        return dict(until(look, seconds))

    def asked(self, content: str, seconds: float = 10) -> None:
        """Wait until the model is being asked this."""
        until(lambda: self.model.calls_of(content), seconds, 0.01)

    def all(self, path: str, name: str, **query: Any) -> list[dict[str, Any]]:
        """Every object of a list, page by page."""
        found: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            page = self.client.get(path, params=query | {"limit": 100} | ({"cursor": cursor} if cursor else {}))
            found += page.raise_for_status().json()[name]
            cursor = page.json()["pagination"]["nextCursor"]
        return found

    def messages(self, session: str) -> list[dict[str, Any]]:
        """A session's messages, in their order."""
        return self.all(f"/sessions/{session}/messages", "messages")

    def waiting(self) -> int:
        """How many requests the servers hold, as they last told."""
        text = self.client.get("/metrics").raise_for_status().text
        return int(float(text.split("\ntaskmaster_connections ")[1].split()[0]))


def body_of(content: str) -> bytes:
    """A message as it is posted."""
    return json.dumps({"content": content}, separators=(",", ":")).encode()


def events_of(response: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name and data of each server-sent event, as they come."""
    name = ""
    for line in response.iter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


def at_once(*calls: Any) -> list[Future[Any]]:
    """Make the calls in threads of their own; their futures."""
    pool = ThreadPoolExecutor(len(calls))
    futures = [pool.submit(call) for call in calls]
    pool.shutdown(wait=False)
    return futures
