"""Whoever writes events and whoever hears them, wherever and however often they come and go."""

import random
import socket as sockets
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from websockets.exceptions import WebSocketException

from tests.live import Live, until

from .cast import at_once
from .sockets import Frame, Socket, opened, socket

SLOW_BYTES = 4096
# What may go wrong while a server or a service dies.
TROUBLE = (OSError, WebSocketException, EOFError, httpx.HTTPError, AssertionError)


class Company:
    """An organization that has nothing but what these tests write."""

    def __init__(self, live: Live, client: httpx.Client) -> None:
        self.live, self.client = live, client
        self.org = client.headers["X-Org-ID"]
        self.identity = {"Authorization": client.headers["Authorization"]}
        self.token = self.identity["Authorization"].removeprefix("Bearer ")

    def socket(self, session: str | None = None, **options: Any) -> Any:
        """A socket of theirs."""
        return socket(self.live, session, self.token, **options)

    def slow_socket(self) -> Socket:
        """One whose kernel takes little for it, and who reads nothing by itself."""
        raw = sockets.socket()
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, SLOW_BYTES)
        raw.connect(("127.0.0.1", int(self.live.env["PORT"])))
        return opened(self.live, sock=raw, max_queue=1, additional_headers=self.identity)

    def session(self, client: httpx.Client | None = None) -> str:
        """A new session's id: one event."""
        made = (client or self.client).post("/sessions", json={"agentType": "custom", "configuration": {}})
        return str(made.raise_for_status().json()["session"]["id"])

    def echo(self) -> str:
        """An echo agent's id: one event."""
        body = {"name": "echo", "type": "custom", "backend": "echo", "maxConcurrentTasks": 8}
        return str(self.client.post("/agents", json=body).raise_for_status().json()["agent"]["id"])

    def is_running(self, starts: bool) -> bool:
        """Whether all of it runs; what does not may be started again."""
        if starts:
            try:
                self.live.start()
            except AssertionError:
                return False
        return True

    def is_done(self, agent: str) -> bool:
        """Whether the agent has nothing to do any more."""
        query = {"agentId": agent, "limit": 1}
        left = (self.client.get("/tasks", params=query | {"status": status}) for status in ("queued", "running"))
        return not any(answer.raise_for_status().json()["tasks"] for answer in left)

    def newest(self) -> int:
        """The newest sequence, once everything is numbered."""
        until(lambda: not self.live.sql("SELECT number FROM events_event WHERE sequence IS NULL"), 10)
        with self.socket() as one:
            return int(one.subscribe("task.cancelled")["sequence"])

    def log(self, after: int) -> list[Frame]:
        """What the log says, as a socket would tell it."""
        found: list[dict[str, Any]] = []
        query: dict[str, Any] = {"after": after, "limit": 100}
        while query:
            page = self.client.get("/events", params=query).raise_for_status().json()
            found += page["events"]
            cursor = page["pagination"]["nextCursor"]
            query = {"after": after, "limit": 100, "cursor": cursor} if cursor else {}
        return found


class Goal:
    """The last event there is, once that is known; or whether nobody need go on."""

    def __init__(self) -> None:
        self.sequence: int | None = None
        self.given_up = False

    def is_reached(self, sequence: int) -> bool:
        """Whether somebody has come so far."""
        return self.given_up or (self.sequence is not None and sequence >= self.sequence)


class Wanderer:
    """A subscriber that goes away again and again, however it pleases, and comes back to where it was."""

    def __init__(self, company: Company, after: int, goal: Goal, leaves: int) -> None:
        self.heard: list[Frame] = []
        self.visits = 0
        self._company, self._after, self._goal, self._leaves = company, after, goal, leaves
        self._dice = random.Random(leaves)

    def follow(self, forgives: bool) -> "Wanderer":
        """Up to the goal. `forgives` is whether a server may die meanwhile."""
        while not self._goal.is_reached(self._after):
            self.visits += 1
            try:
                with self._company.socket() as one:
                    one.subscribe("*", since=self._after)
                    self._stay(one)
            except TROUBLE:
                if not forgives:
                    raise
                time.sleep(0.1)
        return self

    def _stay(self, one: Socket) -> None:
        patience = self._dice.randrange(1, 80) if self.visits <= self._leaves else 10**9
        while patience and not self._goal.is_reached(self._after):
            try:
                frame = one.of_type("event", 0.5)
            except TimeoutError:
                continue
            self.heard.append(frame)
            self._after = frame["sequence"]
            patience -= 1
        if self._dice.random() < 0.5:
            one.connection.socket.shutdown(sockets.SHUT_RDWR)


def write_tasks(company: Company, agent: str, writers: int, each: int, forgives: bool) -> list[Future[Any]]:
    """Threads that give the agent tasks, of which each is three events and more."""

    def write() -> None:
        with httpx.Client(base_url=company.live.base, headers=company.client.headers, timeout=60) as client:
            for number in range(each):
                while not post(client, {"type": "t", "description": f"{number}"}):
                    time.sleep(0.2)

    def post(client: httpx.Client, body: dict[str, Any]) -> bool:
        try:
            client.post(f"/agents/{agent}/tasks", json=body).raise_for_status()
        except TROUBLE:
            if not forgives:
                raise
            return False
        return True

    return at_once(*[write] * writers)


def follow_writers(
    company: Company, *, tasks: int, wanderers: int, meanwhile: Callable[[], None] | None = None
) -> None:
    """Eight writers, one subscriber that stays and some that wander: all hear the same, which is the log.

    `meanwhile` does harm. Whatever ends because of it is started again, as a supervisor would do.
    """
    agent, after, forgives, goal = company.echo(), company.newest(), meanwhile is not None, Goal()
    followers = [Wanderer(company, after, goal, leaves) for leaves in (0, *[20] * wanderers)]
    with ThreadPoolExecutor(len(followers)) as pool:
        following = [pool.submit(follower.follow, forgives) for follower in followers]
        try:
            writers = write_tasks(company, agent, 8, tasks // 8, forgives)
            if meanwhile:
                meanwhile()
            until(lambda: company.is_running(forgives) and all(writer.done() for writer in writers), 600, 0.5)
            assert [writer.exception() for writer in writers] == [None] * 8
            until(lambda: company.is_running(forgives) and company.is_done(agent), 180, 0.5)
            goal.sequence = company.newest()
            for future in following:
                future.result(180)
        finally:
            goal.given_up = True
    check_heard(company, followers, after, goal.sequence)


def check_heard(company: Company, followers: list[Wanderer], after: int, end: int) -> None:
    """Every event once, in order, as the log has it."""
    log = [(event["sequence"], event["id"], event["eventType"], event["data"]) for event in company.log(after)]
    log = log[: end - after]
    assert [entry[0] for entry in log] == list(range(after + 1, end + 1))
    for follower in followers:
        told = [(frame["sequence"], frame["id"], frame["eventType"], frame["data"]) for frame in follower.heard]
        assert told == log
    assert all(follower.visits > 20 for follower in followers[1:])


def memory(live: Live) -> int:
    """Of all web processes, in KB, without files that are mapped."""
    status = [Path(f"/proc/{live.pid(name)}/status").read_text() for name in live.names("web")]
    return sum(int(text.split("RssAnon:")[1].split()[0]) for text in status)
