"""Workflows in the load process: made, started, and waited for until they have ended."""

import asyncio
import time
from typing import Any

import orjson

from .http import Connection, ask, connect, request
from .jobs import spread

Json = dict[str, Any]
PATIENCE = 300  # seconds that a caller waits for the end


async def workflows(job: Json) -> Json:
    """So many clients, each of which makes a workflow, starts it and waits for its end, again and again.

    The latencies are from the start to the end, as the client sees them; the rate is of all, the making included.
    """
    left, latencies = iter(range(job["count"])), []

    async def client() -> None:
        connection = await connect(job["port"], _raise)
        for _ in left:
            latencies.append(await _one(connection, job))
        connection.close()

    begun = time.perf_counter()
    await asyncio.gather(*[client() for _ in range(job["clients"])])
    return spread(latencies) | {"perSecond": job["count"] / (time.perf_counter() - begun)}


async def _one(connection: Connection, job: Json) -> float:
    status, body = await ask(connection, job["make"].encode())
    assert status == 201, body
    path = f"/api/v1/workflows/{orjson.loads(body)['workflowId']}/start"
    headers = job["headers"] | {"Prefer": f"wait={PATIENCE}"}
    begun = time.perf_counter()
    status, body = await ask(connection, request("POST", path, headers, b"{}"))
    assert (status, orjson.loads(body)["status"]) == (200, "completed"), body
    return time.perf_counter() - begun


def _raise(problem: Exception) -> None:
    raise problem
