"""The smallest ASGI application with a WebSocket: it accepts, and waits for the end."""

from typing import Any


async def application(scope: Any, receive: Any, send: Any) -> None:
    """One socket."""
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass
