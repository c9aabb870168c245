"""The ASGI application: HTTP at the edge, WebSockets in their consumers."""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taskmaster.settings")

import django

django.setup()

from channels.routing import URLRouter  # noqa: E402
from django.conf import settings  # noqa: E402
from django.urls import path, re_path  # noqa: E402

from sessions_app.sockets.consumer import SocketConsumer  # noqa: E402
from sessions_app.sockets.nowhere import Nowhere  # noqa: E402
from taskmaster.server.edge import Edge, Receive, Send  # noqa: E402

edge = Edge(settings.WEB_THREADS)
websockets = URLRouter([path("ws", SocketConsumer.as_asgi()), re_path(r"", Nowhere.as_asgi())])


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Route by protocol."""
    if scope["type"] == "http":
        await edge(scope, receive, send)
    elif scope["type"] == "websocket":
        await websockets(scope, receive, send)
