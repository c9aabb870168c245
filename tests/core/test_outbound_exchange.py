"""One exchange ends in time and in bounds whatever the other side does."""

import asyncio
import gzip
import io
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from yarl import URL

from taskmaster.core.outbound import NoReply, Refused, Reply, exchange, guarded_connector, open_session

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
# The same bytes in every process.
PACKED = gzip.compress(b"x" * 500, mtime=0)
OK = b"HTTP/1.1 200 OK\r\n"


@asynccontextmanager
async def listening(talk: Talk) -> AsyncIterator[tuple[str, list[bytes], asyncio.Event]]:
    """A server that says what `talk` says; gives its URL, the requests' heads, and when its peer has gone."""
    heads: list[bytes] = []
    gone = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            await talk(reader, writer)
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            gone.set()
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook", heads, gone
    finally:
        server.close()


def says(*pieces: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    return talk


def replies(body: bytes, *headers: str, status: bytes = OK) -> Talk:
    head = "".join(f"{line}\r\n" for line in (*headers, f"Content-Length: {len(body)}"))
    return says(status + head.encode() + b"\r\n" + body)


def exchanged(talk: Talk, *, seconds: float = 5, most: int = 1000, **options: Any) -> Reply:
    async def run() -> Reply:
        async with listening(talk) as (url, _, gone), open_session(guarded_connector(allow_loopback=True)) as session:
            request = {"headers": {}, "body": b"{}", "seconds": seconds, "most": most, **options}
            try:
                return await exchange(session, "POST", URL(url), **request)
            finally:
                await asyncio.wait_for(gone.wait(), 5)

    return asyncio.run(run())


def test_a_reply_is_told_as_it_came() -> None:
    reply = exchanged(replies(b"thanks", "X-Kind: word"))
    assert (reply.status, reply.body, reply.problem, reply.ok) == (200, b"thanks", "", True)
    assert reply.headers["x-kind"] == "word"
    assert 0 <= reply.duration < 5000


def test_the_bytes_arrive_as_they_were_given() -> None:
    body = bytes(range(256)) * 5000  # more than a mebibyte
    got: list[bytes] = []

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readexactly(len(body)))
        writer.write(OK + b"Content-Length: 0\r\n\r\n")

    async def run() -> None:
        async with listening(keep) as (url, heads, _):
            async with open_session(guarded_connector(allow_loopback=True)) as session:
                headers = {"Content-Type": "application/json", "X-Signed": "yes"}
                await exchange(session, "POST", URL(url), headers=headers, body=body, seconds=5, most=10)
            head = heads[0].decode().lower()
            assert f"content-length: {len(body)}" in head
            assert "x-signed: yes" in head
            assert "accept-encoding: identity" in head
            assert "transfer-encoding" not in head

    asyncio.run(run())
    assert got == [body]


@pytest.mark.parametrize("status", [301, 302, 307, 308, 404, 500])
def test_only_two_hundreds_are_a_success_and_redirects_are_not_followed(status: int) -> None:
    head = f"HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:1/\r\n".encode()
    reply = exchanged(replies(b"", status=head))
    assert (reply.status, reply.ok) == (status, False)


def test_only_as_much_as_wanted_is_read() -> None:
    exact, longer = exchanged(replies(b"x" * 1000)), exchanged(replies(b"x" * 1001))
    assert (len(exact.body), exact.problem) == (1000, "")
    assert (len(longer.body), longer.problem) == (1000, "it is longer than 1000 bytes")


def test_an_endless_reply_ends_at_the_limit() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    reply = exchanged(endless, most=100_000)
    assert (len(reply.body), reply.problem) == (100_000, "it is longer than 100000 bytes")


def test_a_slow_drip_ends_with_the_time() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"Content-Length: 100000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    begun = time.monotonic()
    with pytest.raises(NoReply, match=r"^no reply within 0\.3 s$"):
        exchanged(drip, seconds=0.3)
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_headers_that_never_end_end_with_the_time(beginning: bytes) -> None:
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        await reader.read()

    with pytest.raises(NoReply, match="no reply within"):
        exchanged(stall, seconds=0.2, body=None)


@pytest.mark.parametrize(
    "head",
    [
        b"X-Big: " + b"x" * 100_000 + b"\r\n\r\n",
        b"".join(b"X-%d: y\r\n" % n for n in range(10_000)) + b"\r\n",
        b"X" * 100_000,
    ],
)
def test_huge_headers_are_no_reply(head: bytes) -> None:
    with pytest.raises(NoReply, match="not HTTP, or its headers are too long"):
        exchanged(says(OK + head))


def test_what_is_not_http_is_no_reply() -> None:
    with pytest.raises(NoReply, match="not HTTP"):
        exchanged(says(b"220 mail.example ESMTP\r\n"))


def test_a_connection_that_breaks_is_no_reply() -> None:
    with pytest.raises(NoReply, match="the connection broke"):
        exchanged(says())
    with pytest.raises(NoReply, match="the connection broke"):
        exchanged(says(OK + b"Content-Length: 10\r\n\r\nhalf"))


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "x-gzip", "GZIP"])
def test_a_compressed_reply_is_read_though_it_was_not_asked_for(encoding: str) -> None:
    packed = zlib.compress(b"thanks") if encoding == "deflate" else gzip.compress(b"thanks", mtime=0)
    reply = exchanged(replies(packed, f"Content-Encoding: {encoding}"))
    assert (reply.body, reply.problem) == (b"thanks", "")


def test_a_bomb_is_unpacked_only_up_to_the_limit() -> None:
    bomb = io.BytesIO()
    with gzip.GzipFile(fileobj=bomb, mode="wb") as file:
        for _ in range(64):
            file.write(b"\0" * (1 << 20))
    talk = replies(bomb.getvalue(), "Content-Encoding: gzip")
    tracemalloc.start()
    try:
        reply = exchanged(talk, most=5000)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert (reply.body, reply.problem) == (b"\0" * 5000, "it is longer than 5000 bytes")


def test_what_follows_the_end_of_a_compressed_reply_is_not_waited_for() -> None:
    async def more(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"thanks", mtime=0))
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    assert exchanged(more).body == b"thanks"


@pytest.mark.parametrize("packed", [b"not gzip at all", PACKED[:-9], PACKED[:5]])
def test_a_damaged_compressed_reply_is_told(packed: bytes) -> None:
    assert exchanged(replies(packed, "Content-Encoding: gzip")).problem == "it cannot be decompressed"


def test_an_empty_reply_that_says_it_is_compressed_is_whole() -> None:
    assert exchanged(replies(b"", "Content-Encoding: gzip")).problem == ""


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br"])
def test_other_encodings_are_left_unread(encoding: str) -> None:
    reply = exchanged(replies(b"packed", f"Content-Encoding: {encoding}"))
    assert (reply.status, reply.body) == (200, b"")
    assert reply.problem == "it is encoded in a way that was not asked for"


def test_nobody_there_is_no_reply() -> None:
    async def run() -> None:
        async with open_session(guarded_connector(allow_loopback=True)) as session:
            url = URL("http://127.0.0.1:1/")
            with pytest.raises(NoReply, match=r"^no connection \(Connect"):
                await exchange(session, "POST", url, headers={}, body=b"", seconds=5, most=10)

    asyncio.run(run())


def test_a_refused_place_stays_refused() -> None:
    async def run() -> None:
        async with open_session(guarded_connector(allow_loopback=False)) as session:
            with pytest.raises(Refused, match="a loopback address"):
                await exchange(session, "GET", URL("http://127.0.0.1:1/"), headers={}, seconds=5, most=10)

    asyncio.run(run())


def test_a_cancel_ends_it_at_once() -> None:
    async def run() -> None:
        asked = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.set()
            await reader.read()

        async with listening(silent) as (url, _, gone), open_session(guarded_connector(allow_loopback=True)) as session:
            running = asyncio.create_task(exchange(session, "GET", URL(url), headers={}, seconds=60, most=10))
            await asyncio.wait_for(asked.wait(), 5)
            running.cancel()
            await asyncio.wait({running}, timeout=2)
            assert running.cancelled()
            await asyncio.wait_for(gone.wait(), 2)

    asyncio.run(run())
