"""One WebSocket: `/ws?sessionId=…`."""
# mypy: disable-error-code="misc"
# Channels' classes carry no types.

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from taskmaster.api.exceptions import translate
from taskmaster.core import log
from taskmaster.core.errors import ApiError, MissingScope, NotFound, RateLimited, Unauthenticated
from taskmaster.core.ids import new_id
from taskmaster.events.feed import feed
from taskmaster.orgs.models import ApiToken

from . import requests
from .answers import Following, answers
from .frames import Allowance, Frame, UnknownFrame, encoded, error_frame, parsed, ref_of
from .identity import Offer, identify, offered, welcome
from .pool import in_pool
from .presence import presence
from .subscription import Subscription
from .watch import watch

UNAUTHENTICATED, FORBIDDEN, NOT_FOUND = 4401, 4403, 4404
# An unauthenticated socket may stay for so long.
SECONDS_TO_AUTHENTICATE = 10.0

Handler = Callable[["SocketConsumer", Frame], Coroutine[Any, Any, Frame | None]]


class SocketConsumer(AsyncWebsocketConsumer):
    """Answers frames, each in its turn, and tells events and answers meanwhile."""

    # What comes from other processes comes through the hub and the log; a channel for each socket would only cost.
    channel_layer_alias = "none"

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Without the thread that Channels would look after database connections in: ours are in the pool."""
        await getattr(self, message["type"].replace(".", "_"))(message)

    async def connect(self) -> None:
        """Let it in; what is wrong with its token or its session is told by the code it is closed with."""
        self.key = new_id("sock")
        self.token: ApiToken | None = None
        self.subscription: Subscription | None = None
        self.following: set[Following] = set()
        self.sink = self.scope["extensions"]["taskmaster"]["socket"]
        self.allowance = Allowance(settings.RATE_LIMIT_WEBSOCKET)
        self.late: asyncio.TimerHandle | None = None
        self.session_id = _session_of(self.scope)
        if not welcome(dict(self.scope["headers"])):
            await self.close()
            return
        offer = offered(self.scope)
        await self.accept(subprotocol=offer.protocol)
        if offer.secret is not None:
            await self.authenticate(offer)
        else:
            self.late = asyncio.get_running_loop().call_later(SECONDS_TO_AUTHENTICATE, self.end, UNAUTHENTICATED)

    async def disconnect(self, code: int) -> None:
        """It is closed: nobody is told anything any more."""
        if self.late:
            self.late.cancel()
        watch.leave(self)
        if self.subscription:
            feed.leave(self.subscription)
        for following in self.following:
            answers.forget(following)
        if self.token and self.session_id:
            await in_pool(partial(presence.erase, self.key))

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        """The end of the consumer."""
        await self.disconnect(message.get("code", 1005))
        raise StopConsumer

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """One frame: exactly one answer, or one error."""
        log.request_id.set(self.key)
        frame: Frame = {}
        try:
            wait = self.allowance.take()
            if wait:
                raise RateLimited(retry_after=-(-wait // 1000))
            frame = parsed(text_data)
            answer = await self._handler(frame)(self, frame)
        except ApiError as error:
            answer = _refused(error, frame)
        except Exception as error:
            answer = _refused(translate(error), frame)
        if answer is not None:
            await self.tell(answer | ref_of(frame))

    def _handler(self, frame: Frame) -> Handler:
        kind = frame.get("type")
        found = HANDLERS.get(kind) if isinstance(kind, str) else None
        if found is None:
            raise UnknownFrame(f"There is no frame of the type {str(kind)[:64]!r}.")
        handler, scope = found
        if scope is not None:
            if self.token is None:
                raise Unauthenticated("Authenticate first.")
            if scope not in self.token.scopes:
                raise MissingScope(f"This needs a token with the scope {scope}.")
        return handler

    async def tell(self, frame: Frame) -> None:
        """Send a frame, and wait for room; to a closed socket it is lost."""
        if self.sink.can_send:
            await self.send(text_data=encoded(frame))

    def tell_soon(self, frame: Frame) -> None:
        """Send a frame from a callback; a client that does not read gets no pieces of answers."""
        if self.sink.can_send and (frame["type"] not in ("delta", "progress") or not self.sink.is_behind):
            self.sink.serverSend(encoded(frame))

    def follow(self, following: Following) -> None:
        """Tell the answer to a message as it comes."""
        self.following = {one for one in self.following if not one.over} | {following}
        answers.follow(following)

    def end(self, code: int) -> None:
        """Close it with this code."""
        if self.sink.can_send:
            self.sink.serverClose(code)

    async def authenticate(self, offer: Offer) -> bool:
        """Find out who it is; closes the socket and returns False where that is nobody."""
        try:
            self.token = await in_pool(partial(self._identified, offer))
        except Unauthenticated:
            self.end(UNAUTHENTICATED)
        except NotFound:
            self.end(NOT_FOUND)
        except ApiError:
            self.end(FORBIDDEN)
        else:
            if self.late:
                self.late.cancel()
            watch.join(self)
        return self.token is not None

    def _identified(self, offer: Offer) -> ApiToken:
        token = identify(offer)
        if self.session_id:
            requests.session_of(token, self.session_id)
            presence.write(self.key, self.session_id, [])
        return token


class Nowhere(AsyncWebsocketConsumer):
    """Any other path: refused at the handshake."""

    channel_layer_alias = "none"

    async def connect(self) -> None:
        """No."""
        await self.close()


def _session_of(scope: dict[str, Any]) -> str:
    query: dict[str, list[str]] = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    return query.get("sessionId", [""])[0][:64]


def _refused(error: ApiError, frame: Frame) -> Frame:
    pause = {"retryAfter": error.retry_after * 1000} if error.retry_after else {}
    return error_frame(error, **pause)


HANDLERS: dict[str, tuple[Handler, str | None]] = {
    "ping": (requests.ping, None),
    "auth": (requests.auth, None),
    "message": (requests.message, "write"),
    "subscribe": (requests.subscribe, "read"),
    "unsubscribe": (requests.unsubscribe, "read"),
    "confirm": (requests.confirm, "write"),
    "signal": (requests.signal, "write"),
}
