"""A stand-in for an OpenAI-compatible server, on loopback, and what a test needs around it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from agents_app.backends.base import Answer, BackendError, Request
from agents_app.backends.openai import OpenAIBackend

from .recorder import Recorder

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
KEY = "sk-do-not-show-me"


@dataclass
class StandIn:
    """What the server was asked, and who is still connected."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    live: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[StandIn]:
    """Serve `handler` at every path."""
    seen = StandIn()

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.raw.append(await request.read())
        seen.bodies.append(json.loads(seen.raw[-1]))
        seen.headers.append(dict(request.headers))
        seen.paths.append(request.path_qs)
        seen.live += 1
        seen.asked.set()
        try:
            return await handler(request)
        finally:
            seen.live -= 1
            seen.ended.set()

    app = web.Application(client_max_size=10_000_000)
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    seen.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield seen
    finally:
        await runner.cleanup()


def chunk(text: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    """One event of a streamed answer."""
    delta = {} if text is None else {"content": text}
    document = {"model": "tiny", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def usage(prompt: int, completion: int) -> bytes:
    """The last event of an answer whose usage was asked for."""
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return b"data: " + json.dumps({"model": "tiny", "choices": [], "usage": counts}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def streams(*pieces: bytes) -> Handler:
    """A handler that writes the pieces as they are, one write each."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0.002)
        return response

    return handler


def answers(status: int, body: str = "", content_type: str = "application/json", **headers: str) -> Handler:
    """A handler with one whole answer."""

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=body, content_type=content_type, headers=headers)

    return handler


def message(content: str = "Hello", **more: Any) -> Request:
    """A session's message for an agent."""
    return Request("task_1", "org_1", "agent_1", "message", content, is_message=True, **more)


def config(url: str, **more: Any) -> dict[str, Any]:
    """An agent's configuration that points at the stand-in."""
    return {"baseUrl": url, "apiKey": KEY, "model": "asked-for", **more}


def ask(handler: Handler, request: Request | None = None, **more: Any) -> tuple[Answer, Recorder, StandIn]:
    """Serve, ask once, and give back all that was seen."""

    async def run() -> tuple[Answer, Recorder, StandIn]:
        recorder = Recorder()
        async with serving(handler) as seen:
            asked = request or message()
            ready = Request(**{n: getattr(asked, n) for n in asked.__slots__} | {"config": config(seen.url, **more)})
            answer = await OpenAIBackend().run(ready, recorder)
        return answer, recorder, seen

    return asyncio.run(run())


def failure(handler: Handler, request: Request | None = None, **more: Any) -> BackendError:
    """Serve, ask once, and give back the error that must come."""
    try:
        ask(handler, request, **more)
    except BackendError as error:
        return error
    raise AssertionError("it was answered")
