"""Runners in the load process: each leases over a long poll, completes at once, and leases again."""

import asyncio
import time
from typing import Any

import orjson

from .http import Connection, ask, connect, request

Json = dict[str, Any]
WAIT = orjson.dumps({"wait": 30_000})


class Runners:
    """So many of them on one agent, and what is asked of them."""

    def __init__(self) -> None:
        self._loops: list[asyncio.Task[None]] = []
        self._done: dict[str, asyncio.Future[float]] = {}

    async def begin(self, job: Json) -> Json:
        """Start `count` runners, in the place of those before."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        self._loops = [asyncio.create_task(self._work(job)) for _ in range(job["count"])]
        return {"runners": len(self._loops)}

    async def alone(self, job: Json) -> Json:
        """One task after the other, from the request to the runner's accepted report: milliseconds by the median."""
        connection, latencies = await connect(job["port"], _raise), []
        for _ in range(job["count"]):
            begun = time.perf_counter()
            latencies.append(await self._submitted(connection, job["submit"].encode()) - begun)
        connection.close()
        latencies.sort()
        at = {"p50": len(latencies) // 2, "p99": len(latencies) * 99 // 100}
        return {name: latencies[place] * 1000 for name, place in at.items()}

    async def burst(self, job: Json) -> Json:
        """As many tasks as fast as 16 clients submit them, until the last is reported on: tasks a second."""
        begun = time.perf_counter()
        left = iter(range(job["count"]))

        async def submitter() -> None:
            connection, waiting = await connect(job["port"], _raise), []
            for _ in left:
                status, body = await ask(connection, job["submit"].encode())
                assert status == 202, body
                waiting.append(self._future(orjson.loads(body)["taskId"]))
            connection.close()
            await asyncio.gather(*waiting)

        await asyncio.wait_for(asyncio.gather(*[submitter() for _ in range(16)]), 120)
        return {"perSecond": job["count"] / (time.perf_counter() - begun)}

    async def drained(self, job: Json) -> Json:
        """The next `count` waiting tasks, leased and completed one after the other: milliseconds each by the median."""
        connection, latencies = await connect(job["port"], _raise), []
        for _ in range(job["count"]):
            begun = time.perf_counter()
            assert await self._one(connection, job)
            latencies.append(time.perf_counter() - begun)
        connection.close()
        return {"p50": sorted(latencies)[len(latencies) // 2] * 1000}

    async def _submitted(self, connection: Connection, submit: bytes) -> float:
        status, body = await ask(connection, submit)
        assert status == 202, body
        return await asyncio.wait_for(self._future(orjson.loads(body)["taskId"]), 30)

    def _future(self, task_id: str) -> "asyncio.Future[float]":
        return self._done.setdefault(task_id, asyncio.get_running_loop().create_future())

    async def _work(self, job: Json) -> None:
        connection = await connect(job["port"], _raise)
        try:
            while True:
                await self._one(connection, job)
        finally:
            connection.close()

    async def _one(self, connection: Connection, job: Json) -> bool:
        """Lease a task and complete it; False where there was none."""
        lease = request("POST", f"/api/v1/agents/{job['agent']}/lease", job["headers"], WAIT)
        _, body = await ask(connection, lease)
        leased = orjson.loads(body)["data"]
        if leased["task"] is None:
            return False
        task_id = leased["task"]["id"]
        result = orjson.dumps({"leaseToken": leased["leaseToken"], "result": {"content": "done"}})
        status, body = await ask(
            connection, request("POST", f"/api/v1/tasks/{task_id}/complete", job["headers"], result)
        )
        assert status == 200, body
        if not self._future(task_id).done():
            self._future(task_id).set_result(time.perf_counter())
        return True


def _raise(problem: Exception) -> None:
    raise problem
