"""JSON-RPC over an agent's pipes, one message a line: within bounds, and only what the protocol's library can take."""

import asyncio
import contextlib
import json
from collections import deque
from typing import Any, NoReturn

Message = dict[str, Any]

CHUNK = 65_536
LONGEST_LINE = 8 * 1024 * 1024
# Lines that are no message, such as a program's greeting, are passed over; a program that writes nothing else is not.
MOST_STRANGE = 1_000
# What the agent asks of us and has not been answered yet; nothing more is read meanwhile.
MOST_OPEN = 16
MOST_UNSENT = 1024 * 1024
STRANGE = "the agent writes something that is not the Agent Client Protocol"
TOO_LONG = f"the agent wrote a line of more than {LONGEST_LINE} bytes"


class Lines:
    """A transport for the library's connection. `fault` says why it was given up, "" where the agent ended it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.fault = ""
        self._reader = reader
        self._writer = writer
        self._complete: deque[bytes] = deque()
        self._begun: list[bytes] = []
        self._length = 0
        self._strange = 0
        self._open = 0
        self._answered = asyncio.Event()

    async def send(self, message: Message) -> None:
        """Write a message. Raises ConnectionError; an answer that nobody takes is dropped."""
        self._writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        try:
            await self._writer.drain()
        except (ConnectionError, RuntimeError):
            if "method" in message:
                raise ConnectionError from None
        finally:
            if "method" not in message:
                self._open -= 1
                self._answered.set()

    async def receive(self) -> Message | None:
        """The next message, None at the end."""
        while not self.fault:
            await self._take_breath()
            line = await self._line()
            if line is None:
                return None
            if message := parsed(line):
                self._open += "method" in message and "id" in message
                return message
            self._strange += bool(line.strip())
            if self._strange > MOST_STRANGE:
                self.fault = STRANGE
        return None

    async def close(self) -> None:
        """The pipes are closed by whoever started the agent."""

    async def _take_breath(self) -> None:
        while self._open >= MOST_OPEN:
            self._answered.clear()
            await self._answered.wait()
        if self._writer.transport.get_write_buffer_size() > MOST_UNSENT:
            with contextlib.suppress(ConnectionError):
                await self._writer.drain()

    async def _line(self) -> bytes | None:
        while not self._complete:
            chunk = await self._reader.read(CHUNK)
            if not chunk:
                return None
            first, *more = chunk.split(b"\n")
            self._begun.append(first)  # joined only where a line ends: one in a million pieces must not cost a trillion
            self._length += len(first)
            if self._length > LONGEST_LINE:
                self.fault = TOO_LONG
                return None
            for piece in more:
                self._complete.append(b"".join(self._begun))
                self._begun, self._length = [piece], len(piece)
        return self._complete.popleft()


def parsed(line: bytes) -> Message | None:
    """The message in a line, None where there is none. Its text is such that a database can keep it."""
    text = line.decode(errors="replace")
    try:
        found = json.loads(text, parse_constant=_refuse)
        if "\\u" in text:
            found = _clean(found)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and _is_message(found) else None


def _is_message(found: Message) -> bool:
    """A request, a notification or an answer (JSON-RPC 2.0, 4 and 5)."""
    if not isinstance(found.get("id"), int | str | None):
        return False
    if "method" in found:
        return isinstance(found["method"], str)
    error = found.get("error")
    well_told = isinstance(error, dict) and isinstance(error.get("code"), int) and isinstance(error.get("message"), str)
    return "id" in found and ("result" in found or well_told)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "�").encode(errors="replace").decode()
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
