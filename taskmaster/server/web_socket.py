"""One WebSocket connection."""
# mypy: disable-error-code="no-untyped-call,misc,import-untyped"
# Daphne's and autobahn's classes carry no types.

from typing import Any

from autobahn.websocket.types import ConnectionDeny
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol

from taskmaster.server.http_channel import Channel, unsent
from taskmaster.server.limits import Limits, raw_answer
from taskmaster.server.mailbox import Mailbox, Message

UNREAD = 16  # messages the application has not asked for yet; the client may be asked to wait then


class Socket(WebSocketProtocol):
    """Daphne's WebSocket, closed with any code the protocol has and refused in JSON."""

    channel: Channel | None = None  # the HTTP connection it was
    _held = False

    def onConnect(self, request: Any) -> Any:
        """Start the application, unless Daphne could not read the protocols that are asked for."""
        if not request.headers.get("sec-websocket-protocol", "").isascii():
            raise ConnectionDeny(400, "Sec-WebSocket-Protocol is not ASCII.")
        return super().onConnect(request)

    def serverClose(self, code: int | None = None, reason: str = "") -> None:
        """Close with the given code; autobahn's sendClose would raise for 1009, 1011, 1012 and 1013."""
        self.sendCloseFrame(code=code or 1000, reasonUtf8=reason.encode() or None)

    def dropConnection(self, abort: bool = False) -> None:
        """End the connection; after both have said goodbye not by a reset, which browsers take for an accident."""
        super().dropConnection(abort and not self.wasClean)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """A handshake that failed early never met the server."""
        if self.channel:
            self.channel.make_room()
        if hasattr(self, "server"):
            super().onClose(wasClean, code, reason)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Keep a message for the application, and stop reading when it has enough of them."""
        super().onMessage(payload, isBinary)
        if self.application_queue.size >= UNREAD and not self._held:
            self._held = True
            self.transport.pauseProducing()

    async def receive(self, mailbox: Mailbox) -> Message:
        """The application's receive(), which lets the client go on."""
        message = await mailbox.get()
        if self._held and mailbox.size < UNREAD:
            self._held = False
            self.transport.resumeProducing()
        return message

    async def room(self) -> None:
        """Wait while the client is behind with reading."""
        if self.channel:
            await self.channel.room()

    @property
    def can_send(self) -> bool:
        """Whether anything can be sent."""
        return bool(self.state == self.STATE_OPEN)

    def write_frames(self, frames: bytes) -> bool:
        """Write whole frames past autobahn, which would encode each again for each socket.

        Returns False where the client is behind with reading. Raises ConnectionError where the socket is not open.
        """
        if not self.can_send:
            raise ConnectionError
        sent = 0 if unsent(self.transport) else self._send_now(frames)
        if sent < len(frames):
            self.transport.write(frames[sent:])
        return not self.is_behind

    def _send_now(self, frames: bytes) -> int:
        """How many bytes the system takes at once: Twisted would watch the socket first, two calls more for each."""
        try:
            return int(self.transport.getHandle().send(frames))
        except OSError:
            return 0  # There is no room, or nobody: Twisted finds out which.

    @property
    def is_behind(self) -> bool:
        """Whether the client has to read before more should be sent."""
        return self.channel is not None and self.channel.is_full

    def sendHttpErrorResponse(self, code: int, reason: str, responseHeaders: Any = None) -> None:
        """Refuse the handshake."""
        # autobahn's reason for a failure of our own is the text of the exception
        message = "The WebSocket could not be opened." if code == 500 else reason
        self.sendData(raw_answer(self.factory.server_class.error_body, code, message))

    def application_ended(self, problem: BaseException | None) -> None:
        """Nobody reads this socket any more."""
        if self.state == self.STATE_CONNECTING:
            self.refuse(500 if problem else 403)
        else:
            self.serverClose(1011 if problem else 1000)

    def refuse(self, status: int, message: str = "The WebSocket was not accepted.") -> None:
        """Refuse the handshake with that status."""
        if hasattr(self, "handshake_deferred"):
            self.handshake_deferred.errback(ConnectionDeny(status, message))
            del self.handshake_deferred


def socket_factory(server: Any, limits: Limits) -> WebSocketFactory:
    """Sockets that close with 1009 when too much is sent, and find out dead peers by pinging."""
    factory = WebSocketFactory(server, server="")
    factory.protocol = Socket
    factory.setProtocolOptions(
        allowNullOrigin=True,
        failByDrop=False,  # otherwise the connection is reset and the close code never arrives
        echoCloseCodeReason=True,
        closeHandshakeTimeout=5,
        openHandshakeTimeout=limits.handshake_within,
        maxFramePayloadSize=limits.message_bytes,
        maxMessagePayloadSize=limits.message_bytes,
        autoPingInterval=limits.ping_every,
        autoPingTimeout=limits.pong_within,
    )
    return factory
