"""Sending finished responses: at once, or a file piece by piece, as fast as the client reads it."""

from collections.abc import Awaitable, Callable
from typing import Any

from django.http.response import HttpResponseBase

from taskmaster.api.downloads import Download

Send = Callable[[dict[str, Any]], Awaitable[None]]
InPool = Callable[..., Awaitable[Any]]


async def send_whole(response: HttpResponseBase, send: Send, *, head: bool) -> None:
    """Send a response whose content is there."""
    content = response.content if hasattr(response, "content") else b""
    await send(_start(response, content))
    await send({"type": "http.response.body", "body": b"" if head else content})


async def send_file(response: Download, send: Send, in_pool: InPool, *, head: bool) -> None:
    """Send a file and close it. A thread is held only while a piece is read, and one piece is in memory."""
    with response.file:
        await send(_start(response, b""))
        left = 0 if head else response.size
        while left:
            piece = await in_pool(response.piece)
            if not piece:
                # Half an answer is cut off by the server, so that the client sees that it is not whole.
                raise EOFError("a file became shorter while it was sent")
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def _start(response: HttpResponseBase, content: bytes) -> dict[str, Any]:
    headers = headers_of(response, content)
    return {"type": "http.response.start", "status": response.status_code, "headers": headers}


def headers_of(response: HttpResponseBase, content: bytes) -> list[tuple[bytes, bytes]]:
    """A response's headers and cookies, as ASGI wants them."""
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.items()]
    if not response.has_header("Content-Length"):
        headers.append((b"content-length", str(len(content)).encode()))
    headers += [
        (b"set-cookie", morsel.output(header="").strip().encode("latin-1")) for morsel in response.cookies.values()
    ]
    return headers
