"""What a running server refuses, whoever asks and however."""

import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.live import Live

from .cast import Cast

LARGE = 10 * 1024 * 1024


def check_envelope(answer: httpx.Response, status: int, code: str) -> None:
    """A failure in the envelope, and nothing else."""
    body = answer.json()
    assert (answer.status_code, body["success"], body["code"], body["data"]) == (status, False, code, None)
    assert isinstance(body["error"], str)
    assert body["error"]
    assert answer.headers["Content-Type"] == "application/json"
    assert body["requestId"] == answer.headers["X-Request-ID"]


def test_a_body_of_ten_megabytes_is_too_large(cast: Cast) -> None:
    session = cast.session(cast.agent())
    answer = cast.client.post(f"/sessions/{session}/messages", json={"content": "x" * LARGE})
    check_envelope(answer, 413, "body_too_large")
    assert cast.messages(session) == []


def test_a_chunked_body_of_ten_megabytes_is_too_large(cast: Cast) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"content": "'
        for _ in range(LARGE // 65536):
            yield b"x" * 65536
        yield b'"}'

    session = cast.session(cast.agent())
    headers = {"Content-Type": "application/json"}
    answer = cast.client.post(f"/sessions/{session}/messages", content=chunks(), headers=headers)
    check_envelope(answer, 413, "body_too_large")
    assert cast.messages(session) == []


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("POST", "/sessions/", 404, "not_found"),
        ("GET", "/sessions/%00", 404, "not_found"),
        ("GET", "/sessions/%FF%FE", 404, "not_found"),
        ("DELETE", "/sessions", 405, "method_not_allowed"),
        ("BREW", "/sessions", 405, "method_not_allowed"),
        ("POST", "/health", 405, "method_not_allowed"),
        ("POST", "ROOT/docs", 405, "method_not_allowed"),
        ("POST", "ROOT/openapi.json", 405, "method_not_allowed"),
        ("POST", "ROOT/admin/login/", 403, "forbidden"),
    ],
)
def test_what_is_not_there_is_said_in_the_envelope(cast: Cast, method: str, path: str, status: int, code: str) -> None:
    where = path.replace("ROOT", cast.live.root)
    check_envelope(cast.client.request(method, where, headers={"Accept": "text/html"}), status, code)


@pytest.mark.parametrize("root", ["/", "/api", "/api/v2/sessions", "/favicon.ico", "/api/v1", "//", "/..%2f"])
def test_no_path_answers_with_a_page(live: Live, root: str) -> None:
    url = live.root + root
    check_envelope(httpx.get(url, headers={"Accept": "text/html"}), 404, "not_found")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GARBAGE\r\n\r\n", b"400"),
        (b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"431"),
    ],
)
def test_what_is_not_http_is_refused_in_the_envelope(live: Live, raw: bytes, status: bytes) -> None:
    with socket.create_connection(("127.0.0.1", int(live.env["PORT"])), timeout=10) as client:
        client.sendall(raw)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    assert b'"success":false' in body
    assert b"<" not in body
