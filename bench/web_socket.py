"""WebSockets from the client's side, as little of them as a benchmark needs: frames are counted, not parsed."""

import asyncio
import re
import time
from contextlib import suppress

TEXT, PING, PONG = 0x81, 0x89, 0x8A  # whole frames
QUIET_SECONDS = 5.0  # after which nothing more is expected
MARK = re.compile(rb"mark-(\d{6})")
_into = bytearray(1 << 18)  # one for all: what has come is counted before anything else comes


class Crowd:
    """What all the sockets have been sent since the last `expect`."""

    def __init__(self) -> None:
        self.frames, self.expected, self.last = 0, 1 << 60, 0.0
        self.marks: list[tuple[int, float]] | None = None
        self.complete = asyncio.Event()

    def expect(self, frames: int, *, marked: bool) -> None:
        """Begin to count; with `marked`, note when which mark arrives."""
        self.frames, self.expected, self.last = 0, frames, time.monotonic()
        self.marks = [] if marked else None
        self.complete.clear()

    def add(self, frames: int) -> None:
        """So many have arrived."""
        if not frames:
            return
        self.frames += frames
        self.last = time.monotonic()
        if self.frames >= self.expected:
            self.complete.set()

    async def all(self) -> None:
        """Return when everything has arrived, or nothing has for a while."""
        while not self.complete.is_set() and time.monotonic() - self.last < QUIET_SECONDS:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.complete.wait(), 0.5)


class Socket(asyncio.BufferedProtocol):
    """One WebSocket: a handshake, one frame of its own, and then only what it is sent."""

    transport: asyncio.Transport

    def __init__(self, crowd: Crowd, first: bytes) -> None:
        self._crowd, self._first = crowd, first
        self._rest = b""  # the beginning of a frame or of the handshake's answer
        self._inside = 0  # bytes that the frame that has begun still has
        self._marked = b""
        self._ready = False
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        """Where it goes."""
        return _into

    def buffer_updated(self, size: int) -> None:
        """Count the frames that end in what has come."""
        if not self._ready:
            return self._greeted(bytes(_into[:size]))
        if self._crowd.marks is not None:
            self._note(self._crowd.marks, bytes(_into[:size]))
        if self._rest:
            data, self._rest = self._rest + _into[:size], b""
            return self._crowd.add(self._count(data, len(data)))
        return self._crowd.add(self._count(_into, size))

    def _count(self, data: bytes | bytearray, size: int) -> int:
        at, found = self._inside, 0
        if 0 < at <= size:
            found = 1
        while at + 1 < size:
            length = data[at + 1]
            if length < 126:
                end = at + 2 + length
            elif at + 4 <= size:
                end = at + 4 + (data[at + 2] << 8 | data[at + 3])
            else:
                break
            if length < 126 and end > size:
                break  # a ping is answered when it is whole
            if data[at] == PING:
                self.transport.write(bytes([PONG, 0x80 | length]) + bytes(4) + data[at + 2 : end])
            elif data[at] == TEXT and end <= size:
                found += 1
            at = end
        self._inside = max(0, at - size)
        self._rest = bytes(data[at:size])
        return found

    def _note(self, marks: list[tuple[int, float]], data: bytes) -> None:
        moment, data, end = time.monotonic(), self._marked + data, 0
        for mark in MARK.finditer(data):
            marks.append((int(mark[1]), moment))
            end = mark.end()
        self._marked = data[max(end, len(data) - 10) :]

    def _greeted(self, data: bytes) -> None:
        head, end, rest = (self._rest + data).partition(b"\r\n\r\n")
        self._rest = b"" if end else head
        if not end:
            return
        if not head.startswith(b"HTTP/1.1 101 "):
            self.opened.set_exception(ConnectionError(head.decode()))
            return
        assert not rest, "sent before it was asked"
        self._ready = True
        if self._first:
            self.transport.write(self._first)
        self.opened.set_result(None)

    def connection_lost(self, problem: Exception | None) -> None:
        """What is missing is told by the numbers."""
        if not self.opened.done():
            self.opened.set_exception(problem or ConnectionError("closed in the handshake"))


def masked(payload: bytes) -> bytes:
    """A client's text frame, masked with nothing but zeros."""
    assert len(payload) < 126
    return bytes([TEXT, 0x80 | len(payload)]) + bytes(4) + payload
