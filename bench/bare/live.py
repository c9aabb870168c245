"""Plain Channels: consumers in a group, each of which sends what the group is told. On /go it is told how much."""

import os
from typing import Any

import orjson
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path

from .telling import told

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.bare.settings")
GROUP = "news"


class Subscriber(AsyncWebsocketConsumer):
    """As the tutorial has it."""

    async def connect(self) -> None:
        """Join the group."""
        await self.channel_layer.group_add(GROUP, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        """Leave it."""
        await self.channel_layer.group_discard(GROUP, self.channel_name)

    async def news(self, message: dict[str, Any]) -> None:
        """Pass it on."""
        await self.send(text_data=message["text"])


async def go(scope: Any, receive: Any, send: Any) -> None:
    """Whoever says what to tell the group."""
    layer = get_channel_layer()

    async def tell(frame: str) -> None:
        await layer.group_send(GROUP, {"type": "news", "text": frame})

    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect":
        if "text" in message:
            answer = orjson.dumps(await told(tell, **orjson.loads(message["text"])))
            await send({"type": "websocket.send", "text": answer.decode()})


application = ProtocolTypeRouter({"websocket": URLRouter([path("ws", Subscriber.as_asgi()), path("go", go)])})
