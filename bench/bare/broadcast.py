"""A bare `websockets` server that broadcasts: `python -m bench.bare.broadcast PORT`. On /go it is told how much."""

import asyncio
import logging
import sys

import orjson
from websockets.asyncio.server import ServerConnection, broadcast, serve

from .telling import told

JOINED = 50  # frames, where only the client is to be measured

_open: set[ServerConnection] = set()


async def handle(connection: ServerConnection) -> None:
    """A subscriber, or whoever says what to tell them."""
    assert connection.request
    if connection.request.path != "/go":
        _open.add(connection)
        await connection.wait_closed()
        _open.discard(connection)
        return
    async for job in connection:
        how = orjson.loads(job)
        tell = _many if how.pop("joined", False) else _one
        await connection.send(orjson.dumps(await told(tell, **how)))


async def _one(frame: str) -> None:
    broadcast(_open, frame)
    await asyncio.sleep(0)


async def _many(frame: str) -> None:
    """As little work for each frame as can be."""
    payload = frame.encode()
    raw = (b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload) * JOINED
    for connection in _open:
        connection.transport.write(raw)
    await asyncio.sleep(0)


async def _serve(port: int) -> None:
    logging.disable()
    async with serve(handle, "127.0.0.1", port, compression=None, ping_interval=None, backlog=1000) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
