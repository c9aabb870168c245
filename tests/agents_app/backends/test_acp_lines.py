"""JSON-RPC over lines: what is taken for a message, and how much is held of what an agent writes."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agents_app.backends.acp_client.lines import LONGEST_LINE, MOST_OPEN, MOST_STRANGE, Lines, parsed

Case = Callable[[Lines, asyncio.StreamReader, list[bytes]], Awaitable[None]]


class Writer:
    """The agent's input, which takes everything."""

    def __init__(self, written: list[bytes]) -> None:
        self.transport = self
        self.written = written

    def write(self, data: bytes) -> None:
        self.written.append(data)

    async def drain(self) -> None:
        """Nothing is waited for."""

    def get_write_buffer_size(self) -> int:
        return 0


def spoken(case: Case) -> None:
    async def run() -> None:
        written: list[bytes] = []
        reader = asyncio.StreamReader()
        await case(Lines(reader, Writer(written)), reader, written)  # type: ignore[arg-type]

    asyncio.run(asyncio.wait_for(run(), 10))


def asks(number: int) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": "m"}).encode() + b"\n"


@pytest.mark.parametrize(
    "line",
    [
        '{"method": "m"}',
        '{"id": 1, "method": "m", "params": [1]}',
        '{"id": "a", "result": null}',
        '{"id": 0, "error": {"code": 1, "message": "no"}}',
        '{"id": null, "error": {"code": -32700, "message": "Parse error"}}',
    ],
)
def test_what_is_a_message(line: str) -> None:
    assert parsed(line.encode()) == json.loads(line)


@pytest.mark.parametrize(
    "line",
    [
        *("", "text", "[]", "1", "null", "{}", '"a"', "[" * 100_000, '{"a":' * 3_000, "1" * 10_000),
        *('{"id": 1}', '{"id": 1.5, "result": 1}', '{"id": [], "result": 1}', '{"method": 1}', '{"result": 1}'),
        *('{"id": 1, "error": "no"}', '{"id": 1, "error": {"code": "1", "message": "no"}}'),
        *('{"id": 1, "result": NaN}', '{"id": 1, "result": Infinity}', '{"id": 1, "result": "\x00"}'),
    ],
)
def test_what_is_none(line: str) -> None:
    assert parsed(line.encode()) is None


def test_text_that_no_database_keeps_is_replaced() -> None:
    found = parsed(rb'{"id": 1, "result": {"a\u0000": ["\ud800b", "\\u0000"]}}')
    assert found == {"id": 1, "result": {"a�": ["?b", "\\u0000"]}}
    assert parsed(b'{"id": 1, "result": "\xff"}') == {"id": 1, "result": "�"}


def test_messages_come_out_whole_however_they_come_in() -> None:
    async def case(lines: Lines, reader: asyncio.StreamReader, _: list[bytes]) -> None:
        text = asks(1) + b"\n" + asks(2).replace(b"\n", b"\r\n") + asks(3)
        for start in range(0, len(text), 7):
            reader.feed_data(text[start : start + 7])
        reader.feed_data(b'{"id": 4, "meth')
        reader.feed_eof()
        assert [found["id"] for found in [await lines.receive() for _ in range(3)] if found] == [1, 2, 3]
        assert await lines.receive() is None
        assert lines.fault == ""

    spoken(case)


def test_no_more_is_read_than_can_be_answered() -> None:
    async def case(lines: Lines, reader: asyncio.StreamReader, written: list[bytes]) -> None:
        reader.feed_data(b"".join(asks(number) for number in range(100)))
        for _ in range(MOST_OPEN):
            await lines.receive()
        waiting = asyncio.create_task(lines.receive())
        await asyncio.sleep(0.02)
        assert not waiting.done()
        await lines.send({"jsonrpc": "2.0", "id": 0, "result": None})
        assert await waiting == {"jsonrpc": "2.0", "id": MOST_OPEN, "method": "m"}
        assert written == [b'{"jsonrpc":"2.0","id":0,"result":null}\n']

    spoken(case)


@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        (b"x\n" * (MOST_STRANGE + 1), "not the Agent Client Protocol"),
        (b"x" * (LONGEST_LINE + 1), "a line of more than"),
    ],
)
def test_what_is_no_conversation_is_given_up(sent: bytes, fault: str) -> None:
    async def case(lines: Lines, reader: asyncio.StreamReader, _: list[bytes]) -> None:
        reader.feed_data(sent)
        assert await lines.receive() is None
        assert fault in lines.fault

    spoken(case)


def test_an_answer_that_nobody_takes_is_dropped_and_a_question_fails() -> None:
    async def case(lines: Lines, _: Any, __: Any) -> None:
        async def broken() -> None:
            raise BrokenPipeError

        lines._writer.drain = broken  # type: ignore[method-assign]
        await lines.send({"id": 1, "result": None})
        with pytest.raises(ConnectionError):
            await lines.send({"id": 1, "method": "m"})

    spoken(case)
