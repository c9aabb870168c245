"""Server-sent events come out whole, however they were cut on the way."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from agents_app.backends.wire.sse import TooLong, events, named_events

STREAM = ": hello\n\ndata: one\n\nevent: x\r\nid: 7\r\ndata:two\r\n\r\ndata: a\ndata: b ü\n\n\n\ndata: last".encode()


def read(*pieces: bytes, longest: int = 1_000) -> list[str]:
    async def chunks() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async def run() -> list[str]:
        return [event async for event in events(chunks(), longest)]

    return asyncio.run(run())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
def test_events_survive_every_cut(size: int) -> None:
    pieces = [STREAM[i : i + size] for i in range(0, len(STREAM), size)]
    assert read(*pieces) == ["one", "two", "a\nb ü", "last"]


def test_a_line_that_is_too_long_is_refused_before_it_ends() -> None:
    with pytest.raises(TooLong):
        read(*[b"x" * 100] * 11)


def test_an_event_of_many_lines_is_bounded_too() -> None:
    with pytest.raises(TooLong):
        read(*[b"data: " + b"x" * 50 + b"\n"] * 21)


def test_many_short_events_are_no_long_one() -> None:
    assert len(read(*[b"data: " + b"x" * 50 + b"\n\n"] * 100)) == 100


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
def test_events_have_names(size: int) -> None:
    stream = b"event: a\ndata: 1\n\ndata: 2\n\nevent: lost\n\ndata: 3\nevent:b\r\n\r\nevent: x\nevent: y\ndata: 4"

    async def chunks() -> AsyncIterator[bytes]:
        for i in range(0, len(stream), size):
            yield stream[i : i + size]

    async def run() -> list[tuple[str, str]]:
        return [event async for event in named_events(chunks())]

    assert asyncio.run(run()) == [("a", "1"), ("message", "2"), ("b", "3"), ("y", "4")]
