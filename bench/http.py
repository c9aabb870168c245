"""HTTP/1.1 from the client's side, as little of it as a benchmark needs: it must not be what is measured."""

import asyncio
import re
import time
from collections.abc import Callable

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)

Answered = Callable[["Connection", int, bytes], None]


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """A whole request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def end_of(data: bytes) -> int:
    """Where the answer at the beginning of `data` ends, or -1 where it is not whole."""
    head = data.find(b"\r\n\r\n") + 4
    if head == 3:
        return -1
    length = _LENGTH.search(data, 0, head)
    if length:
        end = head + int(length[1])
        return end if len(data) >= end else -1
    if _CHUNKED.search(data, 0, head):
        last = data.endswith(b"0\r\n\r\n")
        return len(data) if last else -1
    return head


class Connection(asyncio.Protocol):
    """A kept-alive connection, one request at a time. A connection that breaks off ends the run with an error."""

    def __init__(self, broken: Callable[[Exception], None]) -> None:
        self._broken = broken
        self._data = b""
        self._then: Answered | None = None
        self._transport: asyncio.Transport | None = None
        self.asked_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, raw: bytes, then: Answered) -> None:
        """Send a request; `then` is called with the connection, the status and the whole answer."""
        assert self._transport
        self._then, self.asked_at = then, time.perf_counter()
        self._transport.write(raw)

    def data_received(self, data: bytes) -> None:
        """Collect the answer."""
        self._data = self._data + data if self._data else data
        if end_of(self._data) < 0 or not self._then:
            return
        answer, self._data, then = self._data, b"", self._then
        self._then = None
        then(self, int(answer[9:12]), answer)

    def connection_lost(self, problem: Exception | None) -> None:
        """A loss is only an error while an answer is due."""
        if self._then:
            self._broken(problem or ConnectionError("closed while an answer was due"))

    def close(self) -> None:
        """The end."""
        if self._transport:
            self._transport.close()


async def connect(port: int, broken: Callable[[Exception], None]) -> Connection:
    """A new connection to this machine."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: Connection(broken), "127.0.0.1", port)
    return connection


async def ask(connection: Connection, raw: bytes) -> tuple[int, bytes]:
    """One request and its answer's status and body."""
    future: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
    connection.ask(raw, lambda _, status, answer: future.done() or future.set_result((status, answer)))
    status, answer = await future
    return status, answer.partition(b"\r\n\r\n")[2]
