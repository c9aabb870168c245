"""The situations of the shared contract, for backends that speak HTTP to a server of the tests."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

from .contract import RETRY_AFTER_SECONDS
from .stand_in import Handler, StandIn, answers, serving

LIMIT = {"Retry-After": str(RETRY_AFTER_SECONDS)}


def failing(secret: str) -> Mapping[str, Handler]:
    """A handler for each failure that is one and the same in every protocol over HTTP."""
    return {
        "refused": answers(401, f'{{"error": {{"message": "unknown key {secret}"}}}}'),
        "limited": answers(429, f'{{"error": "too many requests of {secret}"}}', **LIMIT),
        "server_error": answers(500, f'{{"error": "{secret} is too much for me"}}'),
        "silent": _silent,
    }


def begins(piece: bytes, then: Callable[[web.Request], Awaitable[None]]) -> Handler:
    """A handler that streams the beginning of an answer; `then` is what comes of it."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(piece)
        await then(request)
        return response

    return handler


async def for_ever(request: web.Request) -> None:
    """Nothing more."""
    await asyncio.Event().wait()


async def breaks(request: web.Request) -> None:
    """The connection goes away once the beginning is through."""
    await asyncio.sleep(0.05)
    assert request.transport
    request.transport.abort()


@asynccontextmanager
async def other_side(situation: str, handlers: Mapping[str, Handler]) -> AsyncIterator[StandIn]:
    """The server in that situation; in `gone` nobody listens where it would be."""
    if situation == "gone":
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        yield StandIn(url=f"http://127.0.0.1:{port}/v1")
        return
    async with serving(handlers[situation]) as there:
        yield there


async def _silent(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    return web.Response()
