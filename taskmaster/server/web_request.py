"""One HTTP request on its way to the application and back."""
# mypy: disable-error-code="no-untyped-call,misc,import-untyped"
# Daphne's and Twisted's classes carry no types.

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import Any

from daphne.http_protocol import WebRequest
from twisted.web import http
from twisted.web.http_headers import Headers

from taskmaster.server.limits import code_of
from taskmaster.server.mailbox import Message

Callback = Callable[[], None]

_NO_HEADERS = Headers()


class ClientGone(ConnectionError):
    """What the application's send() raises once there is nobody to send to, so that an endless stream ends."""


class Request(WebRequest):
    """Daphne's request with a bounded body, JSON errors and a hook for the client's going away."""

    content: Any
    limit = 0
    large: Any = None
    too_large = False
    crowded = False
    _received = 0
    _when_gone: Callback | None = None

    def extension(self) -> dict[str, Any]:
        """What the application finds at scope["extensions"]["taskmaster"]."""
        return {
            "body": self.large,
            "body_limit": self.limit,
            "body_too_large": self.too_large,
            "crowded": self.crowded,
            "on_disconnect": self.on_disconnect,
            "answer": self,
        }

    def on_disconnect(self, callback: Callback) -> None:
        """Call back in the event loop if the client goes away unanswered; a second call replaces the first."""
        if self._disconnected:
            self._call_soon(callback)
        else:
            self._when_gone = callback

    # What Twisted calls while the request arrives

    def parseCookies(self) -> None:
        """The application reads its own."""

    def gotLength(self, length: int | None) -> None:
        """Decide from the Content-Length; a chunked body (None) is found out as it grows."""
        limits = self.server.limits
        large = length is None or length > limits.body_bytes
        large = large and limits.takes_large(self.channel._command, self.channel._path)
        self.content = BytesIO()
        self.limit = limits.large_body_bytes if large else limits.body_bytes
        self.too_large = length is not None and length > self.limit
        if large and not self.too_large:
            self._expect_large()

    def _expect_large(self) -> None:
        """Write the body to a file, unless too many others are being written."""
        self.crowded = len(self.server.large) >= self.server.limits.large_at_once
        if not self.crowded:
            self.server.large.add(self)
            self.large = SpooledTemporaryFile(self.server.limits.body_bytes)  # noqa: SIM115

    def _forget_large(self) -> None:
        self.server.large.discard(self)
        if self.large:  # the application has not got it
            self.large.close()
            self.large = None

    def handleContentChunk(self, data: bytes) -> None:
        """Keep what fits; what does not is read and thrown away, so that its sender comes to read the answer."""
        self._received += len(data)
        if self._received > self.limit and not self.too_large:
            self.too_large = True
            self.content = BytesIO()
            self._forget_large()
        if not (self.too_large or self.crowded):
            (self.large or self.content).write(data)
        elif self._received > self.server.limits.discard_bytes:
            self.channel.refuse(413, "The body is too large.")

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Start the application; forms and queries are its to parse, so Twisted's own parsing is left out."""
        self.method, self.uri, self.clientproto = command, path, version
        self.path = path.partition(b"?")[0]
        self.content.seek(0)
        # Daphne takes its mount point from this header, which any client could send.
        self.requestHeaders.removeHeader(b"Daphne-Root-Path")
        self.process()
        self._release()

    def _release(self) -> None:
        if self.transport is None:  # now a WebSocket
            self.channel.transport.protocol.channel = self.channel
            self.channel.upgraded()
        elif not self.finished:
            # The application has them, perhaps for a long time.
            self.content = self.large = None
            self.requestHeaders = _NO_HEADERS

    # What the server calls while it is answered

    def handle_reply(self, message: Message) -> None:
        """Pass a part of the answer to the client."""
        if message.get("type") == "http.response.start" and self.server.draining and self.channel:
            self.channel.persistent = False
            self.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        super().handle_reply(message)

    async def room(self) -> None:
        """Wait while the client is behind with reading; raise ClientGone if it has left."""
        if not self.finished and self.channel:
            await self.channel.room()
        if self._disconnected:
            raise ClientGone

    @property
    def is_behind(self) -> bool:
        """Whether the client has to read before more should be written."""
        return self.channel is not None and self.channel.is_full

    def write_part(self, part: bytes) -> bool:
        """Write a part of an answer that has begun, from where nobody can wait for room.

        Returns False where the client is behind with reading, or there is none any more.
        """
        if self.finished or self._disconnected:
            return False
        http.Request.write(self, part)
        return not self.is_behind

    def application_ended(self, problem: BaseException | None) -> None:
        """The application is gone and the answer is not whole."""
        if self.server.draining:
            self.basic_error(503, b"", "The server is restarting; try again shortly.")
        else:
            self.basic_error(500, b"", "The request could not be handled.")

    def basic_error(self, status: int, status_text: bytes, body: str) -> None:
        """An error of the server's own; half an answer cannot become one and is cut off, to be seen as broken."""
        if self._response_started:
            self.channel.hang_up()
            return
        content, extra = self.server.error_body(status, code_of(status), body)
        length = (b"Content-Length", b"%d" % len(content))
        headers = [(b"Content-Type", b"application/json"), length, *extra]
        self.handle_reply({"type": "http.response.start", "status": HTTPStatus(status), "headers": headers})
        self.handle_reply({"type": "http.response.body", "body": content})

    def finish(self) -> None:
        """Nobody can go away any more."""
        self._when_gone = None
        self._forget_large()
        super().finish()

    def connectionLost(self, reason: Any) -> None:
        """The client has gone away."""
        self._forget_large()
        super().connectionLost(reason)
        callback, self._when_gone = self._when_gone, None
        if callback:
            self._call_soon(callback)

    def _call_soon(self, callback: Callback) -> None:
        loop: asyncio.AbstractEventLoop = self.server.loop
        loop.call_soon(callback)
