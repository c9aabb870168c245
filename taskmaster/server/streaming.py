"""Server-sent events: what an agent says while it says it, then how it ended."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from taskmaster.api.envelope import Reply
from taskmaster.api.waits import Wait
from taskmaster.core.wakeups import hub

KEEP_ALIVE_SECONDS = 15.0
# A lost signal is noticed after this many seconds.
LOOK_SECONDS = 2.0
# Of the interim reply's headers, those that a stream has otherwise.
OTHERWISE = ("Content-Type", "Content-Length")

Send = Callable[[dict[str, Any]], Awaitable[None]]
InPool = Callable[..., Awaitable[Any]]


async def stream(wait: Wait, interim: Reply, send: Send, in_pool: InPool, gone: asyncio.Event) -> None:
    """Send `delta` and `progress` as they come, then `completed` or `failed`, until the client goes away."""
    heard: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    def live(data: Any) -> None:
        heard.put_nowait(data)

    def ended(_: Any) -> None:
        heard.put_nowait(None)

    await send({"type": "http.response.start", "status": 200, "headers": _headers(interim)})
    # The headers go out with the first bytes, and the first piece may be long in coming.
    await send(_part(b": connected\n\n"))
    hub.listen(wait.live_key, live)
    hub.listen(wait.key, ended)
    try:
        await _tell(wait, send, in_pool, heard, gone)
    finally:
        hub.unlisten(wait.live_key, live)
        hub.unlisten(wait.key, ended)
        await send({"type": "http.response.body", "body": b""})


async def _tell(
    wait: Wait, send: Send, in_pool: InPool, heard: "asyncio.Queue[dict[str, Any] | None]", gone: asyncio.Event
) -> None:
    quiet, told = 0.0, 0
    while not gone.is_set():
        item: dict[str, Any] | None = None
        with contextlib.suppress(TimeoutError):
            item = await asyncio.wait_for(heard.get(), LOOK_SECONDS)
        if item is not None:
            quiet = 0.0
            if item["event"] != "delta":
                await send(_frame(item["event"], orjson.dumps({k: v for k, v in item.items() if k != "event"})))
            elif item["offset"] <= told:  # Otherwise a piece was lost; the rest comes with the end.
                await send(_delta(item["content"], item["offset"]))
                told = item["offset"] + len(item["content"])
            continue
        last = await in_pool(wait.last_event)
        if last is not None:
            name, data, text = last
            if told < len(text):
                await send(_delta(text[told:], told))
            return await send(_frame(name, data))
        quiet += LOOK_SECONDS
        if quiet >= KEEP_ALIVE_SECONDS:
            quiet = 0.0
            await send(_part(b": keep-alive\n\n"))
    return None


def _delta(text: str, offset: int) -> dict[str, Any]:
    return _frame("delta", orjson.dumps({"content": text, "offset": offset}))


def _frame(name: str, data: bytes) -> dict[str, Any]:
    return _part(b"event: %b\ndata: %b\n\n" % (name.encode(), data))


def _part(body: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": True}


def _headers(interim: Reply) -> list[tuple[bytes, bytes]]:
    headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
    headers.append((b"x-accel-buffering", b"no"))
    kept = ((name, value) for name, value in interim.items() if name not in OTHERWISE)
    return headers + [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in kept]
