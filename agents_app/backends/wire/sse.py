"""Reads server-sent events (WHATWG HTML, 9.2.6) as model endpoints write them, within bounds."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

LONGEST_EVENT = 1 << 20


class TooLong(Exception):
    """One event was longer than any piece of an answer is."""


async def events(chunks: AsyncIterator[bytes], longest: int = LONGEST_EVENT) -> AsyncGenerator[str, None]:
    """The data of each event, also of a last one that no empty line ends. Raises TooLong."""
    async with aclosing(named_events(chunks, longest)) as named:
        async for _, data in named:
            yield data


async def named_events(
    chunks: AsyncIterator[bytes], longest: int = LONGEST_EVENT
) -> AsyncGenerator[tuple[str, str], None]:
    """The name, by default "message", and the data of each event. Raises TooLong."""
    data: list[bytes] = []
    name, size = b"", 0
    async for line in _lines(chunks, longest):
        if not line:
            if data:
                yield _name(name), _text(data)
            data, name, size = [], b"", 0
        elif line.startswith(b"data:"):
            data.append(_value(line))
            size += len(line)
            if size > longest:
                raise TooLong
        elif line.startswith(b"event:"):
            name = _value(line)
    if data:
        yield _name(name), _text(data)


def _value(line: bytes) -> bytes:
    return line.partition(b":")[2].removeprefix(b" ")


def _name(name: bytes) -> str:
    return name.decode(errors="replace") or "message"


def _text(data: list[bytes]) -> str:
    return b"\n".join(data).decode(errors="replace")


async def _lines(chunks: AsyncIterator[bytes], longest: int) -> AsyncIterator[bytes]:
    pending: list[bytes] = []
    size = 0
    async for chunk in chunks:
        first, *more = chunk.split(b"\n")
        pending.append(first)  # joined only where a line ends: a line in a million pieces must not cost a trillion
        size += len(first)
        for piece in more:
            yield b"".join(pending).rstrip(b"\r")
            pending, size = [piece], len(piece)
        if size > longest:
            raise TooLong
    if last := b"".join(pending).rstrip(b"\r"):
        yield last
