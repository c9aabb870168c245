"""What the load process can be asked to do."""

import asyncio
import time
from itertools import cycle
from typing import Any

import orjson

from .http import Connection, ask, connect, request

Json = dict[str, Any]
LOOK_EVERY = 0.002  # seconds; looking costs the server, too
RETRIES = 200  # of one held request that is told to come back later


class Load:
    """Some connections that send the same requests again and again, for a time or for a number of answers."""

    def __init__(self, requests: list[bytes], seconds: float, count: int) -> None:
        self._requests = cycle(requests)
        self._seconds, self._left = seconds, count or 1 << 60
        self._open = 0
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.latencies: list[float] = []
        self.refused = 0

    async def run(self, connections: list[Connection]) -> float:
        """Returns how long it took, in seconds."""
        begun = time.perf_counter()
        self._until = begun + self._seconds
        self._open = len(connections)
        for connection in connections:
            self._next(connection)
        await self._over
        return time.perf_counter() - begun

    def broken(self, problem: Exception) -> None:
        """Give up."""
        if not self._over.done():
            self._over.set_exception(problem)

    def _next(self, connection: Connection) -> None:
        if self._left > 0 and time.perf_counter() < self._until:
            self._left -= 1
            connection.ask(next(self._requests), self._answered)
            return
        self._open -= 1
        if not self._open and not self._over.done():
            self._over.set_result(None)

    def _answered(self, connection: Connection, status: int, answer: bytes) -> None:
        if status < 400:
            self.latencies.append(time.perf_counter() - connection.asked_at)
        else:
            self.refused += 1
        self._next(connection)


def spread(seconds: list[float]) -> Json:
    """How many, and their median, 99th percentile and maximum in milliseconds."""
    ordered = sorted(seconds)
    if not ordered:
        return {"count": 0}
    at = {"p50": len(ordered) // 2, "p99": len(ordered) * 99 // 100, "max": len(ordered) - 1}
    return {"count": len(ordered)} | {name: ordered[place] * 1000 for name, place in at.items()}


async def load(job: Json) -> Json:
    """Answers per second, and their latencies; what was refused (4xx, 5xx) does not count."""
    running = Load([raw.encode() for raw in job["requests"]], job["seconds"], job["count"])
    connections = [await connect(job["port"], running.broken) for _ in range(job["connections"])]
    try:
        elapsed = await running.run(connections)
    finally:
        for connection in connections:
            connection.close()
    rate = len(running.latencies) / elapsed
    return spread(running.latencies) | {"perSecond": rate, "refused": running.refused, "elapsed": elapsed}


async def follow(job: Json) -> Json:
    """One task after the other: submit it and ask for it until it is completed."""
    latencies, asked = [], 0
    connection = await connect(job["port"], _raise)
    submit = job["submit"].encode()
    for _ in range(job["count"]):
        begun = time.perf_counter()
        status, body = await ask(connection, submit)
        assert status == 202, body
        poll = request("GET", f"/api/v1/tasks/{orjson.loads(body)['taskId']}", job["headers"])
        while b'"status":"completed"' not in (await ask(connection, poll))[1]:
            asked += 1
            await asyncio.sleep(LOOK_EVERY)
            assert time.perf_counter() < begun + 30, "a task was not completed in 30 s"
        latencies.append(time.perf_counter() - begun)
    connection.close()
    return spread(latencies) | {"looksInVain": asked}


class Held:
    """Requests whose answers are long in coming, each on a connection of its own."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Task[tuple[float, int, bytes]]] = set()
        self.told_to_wait = 0

    async def send(self, job: Json) -> Json:
        """Send the requests, `gap` seconds apart, and return while they wait."""
        for raw in job["requests"]:
            self._waiting.add(asyncio.create_task(self._one(job["port"], raw.encode())))
            await asyncio.sleep(job["gap"])
        return {"sent": len(self._waiting)}

    async def release(self, job: Json) -> Json:
        """Send the request that brings the answers, and wait for all of them."""
        early = sum(task.done() for task in self._waiting)
        opener = await connect(job["port"], _raise)
        begun = time.perf_counter()
        status, body = await ask(opener, job["opener"].encode())
        assert status == 200, body
        answers = await asyncio.wait_for(asyncio.gather(*self._waiting), job["seconds"])
        opener.close()
        good = [moment - begun for moment, status, body in answers if status == 200 and b'"completed"' in body]
        return spread(good) | {"early": early, "toldToComeBack": self.told_to_wait}

    async def _one(self, port: int, raw: bytes) -> tuple[float, int, bytes]:
        connection = await connect(port, _raise)
        for _ in range(RETRIES):
            status, body = await ask(connection, raw)
            if status != 503:
                break
            self.told_to_wait += 1
            await asyncio.sleep(0.5)
        connection.close()
        return time.perf_counter(), status, body


def _raise(problem: Exception) -> None:
    raise problem
