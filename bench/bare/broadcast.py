"""A bare `websockets` server that broadcasts: `python -m bench.bare.broadcast PORT`. On /go it is told how much."""

import asyncio
import logging
import sys
from functools import partial

import orjson
from websockets.asyncio.server import ServerConnection, broadcast, serve

from .telling import told

ROOM = 1 << 18  # bytes that may wait for a client

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
        joined = how.pop("joined", 1)
        how["count"] //= joined
        tell = _one if joined == 1 else partial(_many, joined)
        await connection.send(orjson.dumps(await told(tell, **how)))


async def _one(frame: str) -> None:
    broadcast(_open, frame)
    await asyncio.sleep(0)


async def _many(joined: int, frame: str) -> None:
    """As little work for each frame as can be: where only the client is to be measured."""
    payload = frame.encode()
    raw = (b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload) * joined
    for connection in _open:
        connection.transport.write(raw)
    while any(connection.transport.get_write_buffer_size() > ROOM for connection in _open):  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def _serve(port: int) -> None:
    logging.disable()
    async with serve(handle, "127.0.0.1", port, compression=None, ping_interval=None, backlog=1000) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
