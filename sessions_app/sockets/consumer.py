"""One WebSocket: `/ws?sessionId=…`."""
# mypy: disable-error-code="misc"
# Channels' classes carry no types.

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from taskmaster.api.exceptions import translate
from taskmaster.core import log
from taskmaster.core.errors import ApiError, MissingScope, NotFound, Unauthenticated, UnknownFrame
from taskmaster.core.ids import new_id
from taskmaster.events.feed import feed
from taskmaster.orgs.models import ApiToken

from . import requests, subscribing
from .allowance import Allowance
from .answers import Answers
from .deltas import deltas
from .endings import FORBIDDEN, NOT_FOUND, REASONS, REFUSALS, TRY_AGAIN_LATER, UNAUTHENTICATED
from .frames import Frame, error_frame, limited_frame, parsed, ref_of, ref_of_dropped, unknown, wire
from .identity import Offer, identify, offered, session_of, welcome
from .pool import in_pool
from .presence import presence
from .sink import sink_of
from .subscription import Subscription
from .watch import watch

# Of this process; a client is told to come back later, and may find another process then.
MOST_SOCKETS = 10_000
# An unauthenticated socket may stay for so long.
SECONDS_TO_AUTHENTICATE = 10.0
# Whoever sends too much is answered no faster than this, or it would keep the others waiting.
SECONDS_FOR_EACH_DROPPED = 0.002

Handler = Callable[["SocketConsumer", Frame], Coroutine[Any, Any, Frame | None]]


class SocketConsumer(AsyncWebsocketConsumer):
    """Answers frames, each in its turn, and tells events and answers meanwhile."""

    # What comes from other processes comes through the hub and the log; a channel for each socket would only cost.
    channel_layer_alias = "none"

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """From the handshake to the end, whatever that is."""
        self.key = new_id("sock")
        self.sink = sink_of(scope)
        self.token: ApiToken | None = None
        self.session_id = session_of(scope)
        self.subscription: Subscription | None = None
        self.answers = Answers(self.sink)
        self.allowance = Allowance(settings.RATE_LIMIT_WEBSOCKET)
        self.late: asyncio.TimerHandle | None = None
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Without the thread that Channels would look after database connections in: ours are in the pool."""
        await getattr(self, message["type"].replace(".", "_"))(message)

    async def connect(self) -> None:
        """Let it in; what is wrong with its token or its session is told by the code it is closed with."""
        full = len(watch) >= MOST_SOCKETS
        if full or not welcome(dict(self.scope["headers"])):
            status = 503 if full else 403
            self.sink.refuse(status, REFUSALS[status])
            return
        offer = offered(self.scope)
        await self.accept(subprotocol=offer.protocol)
        watch.join(self)
        if offer.secret is not None:
            await self._authenticate_at_once(offer)
        else:
            self.late = asyncio.get_running_loop().call_later(SECONDS_TO_AUTHENTICATE, self.end, UNAUTHENTICATED)

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        """It is closed."""
        self._leave()
        if self.token and self.session_id:
            await in_pool(partial(presence.store, self.key))
        raise StopConsumer

    def _leave(self) -> None:
        """Nobody is told anything any more; the same again changes nothing."""
        if self.late:
            self.late.cancel()
        watch.leave(self)
        presence.closed(self.key)
        self.answers.stop()
        if self.subscription:
            feed.leave(self.subscription)
            deltas.leave(self.subscription)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """One frame: exactly one answer, or one error."""
        if not self.sink.can_send:
            return  # It is being closed, and what was sent before that was known has no effect.
        log.request_id.set(self.key)
        wait = self.allowance.take()
        if wait:
            await asyncio.sleep(SECONDS_FOR_EACH_DROPPED)
            answer: Frame | None = limited_frame(wait) | ref_of_dropped(text_data)
        else:
            answer = await self._answer(text_data)
        if answer is not None:
            await self.tell(answer)

    async def _answer(self, text: str | None) -> Frame | None:
        ref: Frame = {}
        try:
            frame = parsed(text)
            ref = ref_of(frame)
            answer = await self._handler(frame)(self, frame)
        except ApiError as error:
            answer = error_frame(error)
        except Exception as error:
            answer = error_frame(translate(error))
        return None if answer is None else answer | ref

    def _handler(self, frame: Frame) -> Handler:
        kind = frame.get("type")
        found = HANDLERS.get(kind) if isinstance(kind, str) else None
        if found is None:
            raise UnknownFrame(unknown(kind, HANDLERS))
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
            self.sink.write_frames(wire(frame))
            await self.sink.room()

    def end(self, code: int) -> None:
        """Close it with this code; nothing is sent any more."""
        if self.sink.can_send:
            self.sink.serverClose(code, REASONS[code])

    async def _authenticate_at_once(self, offer: Offer) -> None:
        try:
            await self.authenticate(offer)
        except Exception as error:
            translate(error)  # Which logs it.
            self.end(TRY_AGAIN_LATER)

    async def authenticate(self, offer: Offer) -> bool:
        """Find out who it is; closes the socket and returns False where that is nobody."""
        try:
            token = await in_pool(partial(self._identified, offer))
        except Unauthenticated:
            self.end(UNAUTHENTICATED)
        except NotFound:
            self.end(NOT_FOUND)
        except ApiError:
            self.end(FORBIDDEN)
        else:
            await self._let_in(token)
        return self.token is not None

    def _identified(self, offer: Offer) -> ApiToken:
        token = identify(offer)
        if self.session_id:
            requests.session_of(token, self.session_id)
        return token

    async def _let_in(self, token: ApiToken) -> None:
        self.token = token
        if self.late:
            self.late.cancel()
        if self.session_id:
            presence.opened(self.key, self.session_id)
            await in_pool(partial(presence.store, self.key))


HANDLERS: dict[str, tuple[Handler, str | None]] = {
    "ping": (requests.ping, None),
    "auth": (requests.auth, None),
    "message": (requests.message, "write"),
    "subscribe": (subscribing.subscribe, "read"),
    "unsubscribe": (subscribing.unsubscribe, "read"),
    "confirm": (requests.confirm, "write"),
    "signal": (requests.signal, "write"),
}
