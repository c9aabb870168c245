"""Bodies that may be larger than others: by route, on disk, so many at once."""

import hashlib
from collections.abc import Iterator

import pytest

from tests.live import until
from tests.server.running import Client, Running, running
from tests.server.test_daphne import assert_refused

MB = 1_048_576
LIMITS = {"large_route": "PUT /files/.+", "large_body_bytes": 25 * MB, "large_at_once": 2}


@pytest.fixture(scope="module")
def large() -> Iterator[Running]:
    """A server that takes 25 MB below /files/, two at once."""
    with running(limits=LIMITS) as server:
        yield server


def head(target: str, length: int | None, *headers: str) -> bytes:
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return "\r\n".join([f"{target} HTTP/1.1", "Host: x", size, *headers, "", ""]).encode()


def put(client: Client, target: str, size: int, *, chunked: bool = False) -> None:
    client.send(head(target, None if chunked else size))
    left = size
    while left:
        piece = b"x" * min(left, 65536)
        client.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        left -= len(piece)
    if chunked:
        client.send(b"0\r\n\r\n")


def taken(size: int) -> dict[str, object]:
    return {"body": size, "digest": hashlib.sha256(b"x" * size).hexdigest(), "on disk": size > MB}


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_one_comes_in_whole_and_not_into_memory(large: Running, chunked: bool) -> None:
    with large.connect() as client:
        large.forget_peak()
        before = large.memory("VmHWM")
        put(client, "PUT /files/a", 25 * MB, chunked=chunked)
        answer = client.answer()
        assert (answer.status, answer.json) == (200, taken(25 * MB))
        assert large.memory("VmHWM") - before < 6000  # KB
        client.get("/echo")
        assert client.answer().json["body"] == 0


@pytest.mark.parametrize("chunked", [False, True])
def test_a_byte_more_is_too_large(large: Running, chunked: bool) -> None:
    with large.connect() as client:
        put(client, "PUT /files/a", 25 * MB + 1, chunked=chunked)
        answer = client.answer()
        assert (answer.status, answer.json["too_large"], answer.json["body"]) == (413, True, 0)


@pytest.mark.parametrize(
    "target",
    ["POST /files/a", "PUT /file/a", "PUT /files", "PUT /other?/files/a", "GET /files/a", "PUT http://x/files/a"],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_everything_else_keeps_its_limit(large: Running, target: str, chunked: bool) -> None:
    with large.connect() as client:
        put(client, target, MB + 1, chunked=chunked)
        answer = client.answer()
        assert (answer.status, answer.json["too_large"]) == (413, True)


def test_a_small_one_is_like_any_other(large: Running) -> None:
    with large.connect() as client:
        put(client, "PUT /files/a?b=c", MB)
        assert client.answer().json["body"] == MB
        put(client, "PUT /files/a", 10, chunked=True)
        assert client.answer().json == taken(10)


def may_come_in(client: Client) -> bool:
    """Ask to send a large body."""
    client.send(head("PUT /files/a", 2 * MB, "Expect: 100-continue"))
    return client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"


def is_free(server: Running) -> bool:
    """Whether two more may come in; they leave again."""
    with server.connect() as one, server.connect() as two:
        return may_come_in(one) and may_come_in(two)


def test_one_too_many_at_once_is_told_to_come_back(large: Running) -> None:
    until(lambda: is_free(large))
    with large.connect() as one, large.connect() as two, large.connect() as third:
        assert may_come_in(one)
        assert may_come_in(two)
        put(third, "PUT /files/a", 2 * MB)
        assert third.answer().status == 503
        third.send(head("PUT /files/a", 2 * MB, "Expect: 100-continue"))
        refused = third.answer()
        assert_refused(refused, 503, "overloaded")
        assert refused.headers["retry-after"] == "1"
        for client in (one, two):
            client.send(b"x" * 2 * MB)
            assert client.answer().json["body"] == 2 * MB
    assert is_free(large)


def test_one_that_breaks_off_makes_room(large: Running) -> None:
    for _ in range(2):
        with large.connect() as client:
            assert may_come_in(client)
            client.send(b"x" * 2 * (MB - 1))
    until(lambda: is_free(large))


def test_one_that_grows_too_large_makes_room_at_once(large: Running) -> None:
    with large.connect() as client:
        client.send(head("PUT /files/a", None))
        for _ in range(26):
            client.send(b"100000\r\n" + b"x" * MB + b"\r\n")
        until(lambda: is_free(large))
        client.send(b"0\r\n\r\n")
        assert client.answer().status == 413


def test_it_has_more_time_to_come_in() -> None:
    with running(limits=LIMITS | {"body_within": 0.3, "large_body_within": 1.0}) as server:
        with server.connect() as client:
            client.send(head("PUT /files/a", 2 * MB))
            client.socket.settimeout(0.6)
            with pytest.raises(TimeoutError):
                client.more()
            client.send(b"x" * 2 * MB)
            assert client.answer().status == 200
        with server.connect() as client:
            client.send(head("PUT /files/a", 2 * MB) + b"x")
            assert_refused(client.answer(), 408, "request_timeout")
