"""The long versions: ten thousand events, services that go away, processes that are killed, hundreds of sockets."""

import asyncio
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import SHUT_RDWR
from statistics import median, quantiles
from typing import Any

import pytest
import redis
from websockets.asyncio.client import ClientConnection, connect

from tests.live import SERVICES, Live, free_port, installation, until

from .listener import write_many
from .sockets import url
from .subscribers import Company, follow_writers, memory

ROUNDS = int(os.environ.get("SOAK_ROUNDS", "20"))
TASKS = 336 * max(1, ROUNDS // 2)
CROWD = 500

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]
only_services = pytest.mark.skipif(not SERVICES, reason="one process, and nothing beside it")


class OwnRedis:
    """A Redis of our own, that keeps nothing when it is restarted."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        """Until it answers."""
        about_it = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(["redis-server", *about_it], stdout=subprocess.DEVNULL)
        with redis.Redis.from_url(self.url) as client:
            until(lambda: _answers(client), 10)

    def stop(self, how: int = signal.SIGKILL) -> None:
        """At once."""
        self._process.send_signal(how)
        self._process.wait(10)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


@contextmanager
def own_installation(folder: Path, **env: str) -> Iterator[Company]:
    """One that may be harmed."""
    with installation(folder, webs=2, workers=2, **env) as live, live.start().client() as client:
        yield Company(live, client)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """Two web processes and two workers, or all in one."""
    with own_installation(tmp_path_factory.mktemp("soak")) as company:
        yield company


@only_services
def test_nothing_is_lost_while_redis_is_restarted(tmp_path: Path) -> None:
    own = OwnRedis()
    try:
        with own_installation(tmp_path, REDIS_URL=own.url) as company:

            def restart_twice() -> None:
                for _ in range(2):
                    time.sleep(1.5)
                    own.stop()
                    time.sleep(0.5)
                    own.start()

            follow_writers(company, tasks=TASKS, wanderers=2, meanwhile=restart_twice)
            check_signals(company)
    finally:
        own.stop()


def check_signals(company: Company) -> None:
    """They are back: an event comes sooner than a look would find it, most of the time."""
    waits = []
    with company.socket() as one:
        one.subscribe("session.created")
        for _ in range(10):
            began = time.monotonic()
            company.session()
            one.events(1)
            waits.append(time.monotonic() - began)
    assert median(waits) < 0.4


def test_ten_thousand_events_come_once_and_in_order(company: Company) -> None:
    follow_writers(company, tasks=TASKS, wanderers=3)


def test_nothing_is_lost_while_web_processes_are_killed(company: Company) -> None:
    names = company.live.names("web")

    def kill() -> None:
        for number in range(4):
            time.sleep(1)
            company.live.kill(names[number % len(names)])
            company.live.start()

    follow_writers(company, tasks=TASKS, wanderers=2, meanwhile=kill)


class Crowd:
    """Sockets in a loop of their own, and how many milliseconds after its time each event came to each of them."""

    def __init__(self, live: Live, token: str, count: int) -> None:
        self.delays: list[float] = []
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        headers = {"Authorization": f"Bearer {token}"}
        self._sockets = self._run(self._open(url(live), headers, count))

    def close(self) -> None:
        """All of them."""
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(120)

    async def _open(self, address: str, headers: dict[str, str], count: int) -> list[ClientConnection]:
        found = []
        for _ in range(count):
            one = await connect(address, additional_headers=headers, compression=None, ping_interval=None)
            await one.send(json.dumps({"type": "subscribe", "events": ["task.queued"]}))
            assert json.loads(await one.recv())["type"] == "subscribed"
            found.append(one)
        self._listening = [asyncio.create_task(self._listen(one)) for one in found]
        return found

    async def _listen(self, one: ClientConnection) -> None:
        async for frame in one:
            self.delays.append(time.time() * 1000 - json.loads(frame)["timestamp"])

    async def _close(self) -> None:
        for task in self._listening:
            task.cancel()
        await asyncio.gather(*(one.close() for one in self._sockets))


def p99(company: Company, crowd: Crowd, agent: str, tasks: int) -> float:
    """Of the delays with which the crowd hears of tasks, ten a second."""
    crowd.delays = []
    for number in range(tasks):
        company.client.post(f"/agents/{agent}/tasks", json={"type": "t", "description": f"{number}"}).raise_for_status()
        time.sleep(0.1)
    until(lambda: len(crowd.delays) >= tasks * CROWD, 30)
    assert len(crowd.delays) == tasks * CROWD
    return quantiles(crowd.delays, n=100)[98]


def test_a_slow_one_among_hundreds_costs_the_others_nothing(company: Company) -> None:
    """With and without it, in turns, since machines have moods."""
    agent, tasks = company.echo(), 10 * max(1, ROUNDS // 4)
    crowd = Crowd(company.live, company.token, CROWD)
    # Twenty megabytes that are of no interest to the crowd.
    after = company.newest()
    write_many(company.live, company.org, 5000, 4000)
    until(lambda: company.newest() == after + 5000, 30)
    alone, beside_it = [], []
    p99(company, crowd, agent, 5)
    before = memory(company.live)
    try:
        for _ in range(3):
            alone.append(p99(company, crowd, agent, tasks))
            slow = company.slow_socket()
            slow.subscribe("*", since=after)
            beside_it.append(p99(company, crowd, agent, tasks))
            assert memory(company.live) - before < 40_000
            slow.connection.socket.shutdown(SHUT_RDWR)
    finally:
        crowd.close()
    print(f"p99 of {CROWD} sockets, in ms: {alone} alone, {beside_it} beside a slow one")
    assert min(beside_it) < 1.5 * min(alone) + 10
