"""Where there is no WebSocket."""
# mypy: disable-error-code="misc"
# Channels' classes carry no types.

from channels.generic.websocket import AsyncWebsocketConsumer

from .endings import REFUSALS


class Nowhere(AsyncWebsocketConsumer):
    """Any other path: there is nothing."""

    channel_layer_alias = "none"

    async def connect(self) -> None:
        """No."""
        self.scope["extensions"]["taskmaster"]["socket"].refuse(404, REFUSALS[404])
