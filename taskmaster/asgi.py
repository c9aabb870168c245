"""The ASGI application: HTTP at the edge; WebSockets are not spoken yet."""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taskmaster.settings")

import django

django.setup()

from django.conf import settings  # noqa: E402

from taskmaster.server.edge import Edge, Receive, Send  # noqa: E402

edge = Edge(settings.WEB_THREADS)


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Route by protocol."""
    if scope["type"] == "http":
        await edge(scope, receive, send)
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close"})
