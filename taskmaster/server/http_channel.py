"""One HTTP connection: its deadlines, and the refusals that need no application."""
# mypy: disable-error-code="no-untyped-call,misc,override,method-assign,assignment"
# Twisted's HTTP classes carry no types.

import asyncio
from math import inf
from typing import Any

from twisted.protocols.basic import LineReceiver
from twisted.web import http

from taskmaster.server.limits import raw_answer
from taskmaster.server.phases import FINAL, Phase


def unsent(transport: Any) -> int:
    """How many bytes a transport has been given that the system has not taken yet."""
    return int(len(transport.dataBuffer) - transport.offset + transport._tempDataLen)


def _ignore(data: bytes) -> None:
    pass


class Channel(http.HTTPChannel):
    """Twisted's channel, whose own timeout any dripped byte would extend."""

    transport: Any
    _phase = Phase.IDLE
    _timer: asyncio.TimerHandle | None = None
    _served = False
    _unsent_before: float = inf
    _room: "asyncio.Future[None] | None" = None

    def connectionMade(self) -> None:
        """Start the clock as soon as the connection is accepted."""
        super().connectionMade()
        self.factory.server.channels.add(self)
        self._watch()

    def connectionLost(self, reason: Any) -> None:
        """Tell the requests under way, and be forgotten."""
        self._cancel_timer()
        super().connectionLost(reason)
        self.make_room()
        self.factory.server.forget(self)

    def dataReceived(self, data: bytes) -> None:
        """Parse what came, then see which deadline holds now."""
        if self._phase is not Phase.CLOSING:
            LineReceiver.dataReceived(self, data)
            self._watch()

    def allContentReceived(self) -> None:
        """Hand the request over, and leave it alone for as long as its answer takes."""
        if self._phase is not Phase.CLOSING:
            self._served = True
            self._enter(Phase.ANSWERING)
            super().allContentReceived()

    def requestDone(self, request: Any) -> None:
        """Wait for the next request, or only for the last bytes to leave."""
        super().requestDone(request)
        self._watch()

    def upgraded(self) -> None:
        """The connection is a WebSocket now; what remains here is its back pressure."""
        self._enter(Phase.UPGRADED)
        self.requests.clear()
        self.factory.server.forget(self)

    def wind_down(self) -> None:
        """Close now if nothing is under way, otherwise after the next answer."""
        if self._phase is Phase.IDLE or self._is_silent():
            self.loseConnection()
        elif self._phase is not Phase.HEADERS:  # those are told with their answer; Twisted would drop them
            self.persistent = False

    # Refusals

    def refuse(self, status: int, message: str) -> None:
        """Answer and close. What the client still sends is thrown away, as a reset would destroy the answer."""
        if self._phase is Phase.CLOSING:
            return
        self._enter(Phase.CLOSING)
        self._buffer = b""
        self.lineReceived = self.rawDataReceived = _ignore
        self.transport.write(raw_answer(self.factory.server.error_body, status, message))
        self._networkProducer.unregisterProducer()
        self._networkProducer.resumeProducing()
        self.transport.loseWriteConnection()

    def hang_up(self) -> None:
        """Close in the middle of an answer, so that the client sees it is not whole."""
        self._enter(Phase.CLOSING)
        self.loseConnection()

    def lineLengthExceeded(self, line: bytes) -> None:
        """Twisted would close without a word."""
        self.refuse(431, "The request line or a header is too long.")

    def _respondToBadRequestAndDisconnect(self) -> None:
        if self._receivedHeaderSize > self.totalHeadersSize or self._receivedHeaderCount > self.maxHeaders:
            self.refuse(431, "The headers are too large.")
        else:
            self.refuse(400, "The request is not valid HTTP.")

    def _maybeChooseTransferDecoder(self, header: bytes, data: bytes) -> bool:
        # Python refuses to parse numbers of thousands of digits, which Twisted does not expect.
        if header == b"Content-Length" and len(data) > 18:
            return bool(self._failChooseTransferDecoder())
        return bool(super()._maybeChooseTransferDecoder(header, data))

    def _send100Continue(self) -> None:
        if self.requests[-1].too_large:
            self.refuse(413, "The body is too large.")
        elif self.requests[-1].crowded:
            self.refuse(503, "Too many large bodies are coming in; try again shortly.")
        else:
            super()._send100Continue()

    # Deadlines

    def _watch(self) -> None:
        phase = self._current_phase()
        if phase is not self._phase or (self._timer is None and phase in self.factory.server.deadlines):
            self._enter(phase)

    def _current_phase(self) -> Phase:
        if self._phase in FINAL:
            return self._phase
        if self._handlingRequest:
            return self._answering_phase()
        if not self.line_mode:
            return Phase.BODY
        return Phase.IDLE if self._served and self._has_no_bytes() else Phase.HEADERS

    def _answering_phase(self) -> Phase:
        if not self.requests:  # the last answer is leaving
            return Phase.IDLE
        return Phase.STALLED if self._waitingForTransport else Phase.ANSWERING

    def _has_no_bytes(self) -> bool:
        return not (self.requests or self._buffer)

    def _is_silent(self) -> bool:
        return self._phase is Phase.HEADERS and self._has_no_bytes()

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._unsent_before = inf
        self._set_timer()

    def _set_timer(self) -> None:
        self._cancel_timer()
        server = self.factory.server
        seconds = server.deadlines.get(self._phase)
        if self._phase is Phase.BODY and self.requests[-1].large:
            seconds = server.limits.large_body_within
        if seconds:
            self._timer = server.loop.call_later(seconds, self._expire)

    def _cancel_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        if self._phase is Phase.CLOSING:
            self.transport.abortConnection()
        elif self._phase in (Phase.IDLE, Phase.STALLED) or self._is_silent():
            self._close_unless_sending()
        elif self._phase is Phase.BODY and self.requests[-1].too_large:
            self.refuse(413, "The body is too large.")
        else:
            self.refuse(408, f"The {self._phase.value} did not arrive in time.")

    def _close_unless_sending(self) -> None:
        """A long answer to a slow reader may outlast the deadline while it moves."""
        left = unsent(self.transport)
        if not left:
            self.loseConnection()
        elif left < self._unsent_before:
            self._unsent_before = left
            self._set_timer()
        else:
            self.transport.abortConnection()

    # Back pressure

    def pauseProducing(self) -> None:
        """The client reads more slowly than the application writes."""
        super().pauseProducing()
        self._room = self._room or self.factory.server.loop.create_future()
        self._watch()

    def resumeProducing(self) -> None:
        """The client has caught up."""
        super().resumeProducing()
        self.make_room()
        self._watch()

    @property
    def is_full(self) -> bool:
        """Whether the client has to read before more should be written."""
        return self._room is not None

    async def room(self) -> None:
        """Return once there is room for more of the answer, or nobody to send it to."""
        if self._room:
            await asyncio.shield(self._room)

    def make_room(self) -> None:
        """Let the application go on."""
        if self._room:
            self._room.set_result(None)
            self._room = None
