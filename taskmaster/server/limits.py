"""What a client may ask of the server, and how the server words its own refusals."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

# Whoever comes too many is told to come back after so long.
COME_BACK_SECONDS = 1

Headers = list[tuple[bytes, bytes]]
ErrorBody = Callable[[int, str, str], tuple[bytes, Headers]]
"""(status, code, message) to the JSON body and the headers that go with it, such as X-Request-ID."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    body_bytes: int = 1_048_576
    # What may have a larger body: "METHOD /path" as it was sent. Such bodies lie on disk, not in memory, which is why
    # there is a bound on how many come in at once.
    large_route: re.Pattern[bytes] = re.compile(rb"(?!)")  # none
    large_body_bytes: int = 1_048_576
    large_body_within: float = 120
    large_at_once: int = 32
    discard_bytes: int = 64 * 1_048_576  # of a too large body, before the connection is closed in its middle
    headers_within: float = 10
    body_within: float = 30
    idle_for: float = 75  # between two requests, or without reading a byte of an answer
    message_bytes: int = 1_048_576  # a WebSocket message, and each of its frames
    # autobahn counts these three in whole seconds and may be one early
    handshake_within: float = 10
    ping_every: float = 20
    pong_within: float = 30
    drain_timeout: float = 20

    def takes_large(self, method: bytes, uri: bytes) -> bool:
        """Whether this request may have a large body."""
        return bool(self.large_route.fullmatch(method + b" " + uri.partition(b"?")[0]))


DEFAULT_LIMITS = Limits()

CODES = {
    400: "bad_request",
    403: "forbidden",
    404: "not_found",
    408: "request_timeout",
    413: "body_too_large",
    431: "headers_too_large",
    500: "internal_error",
    503: "overloaded",
}


def code_of(status: int) -> str:
    """The stable error code for a status the server answers by itself."""
    return CODES.get(status, "internal_error" if status >= 500 else "bad_request")


def plain_error_body(status: int, code: str, message: str) -> tuple[bytes, Headers]:
    """An error body for servers that were given none."""
    return json.dumps({"error": {"status": status, "code": code, "message": message}}).encode(), []


def raw_answer(error_body: ErrorBody, status: int, message: str) -> bytes:
    """A whole HTTP answer for a connection that ends with it."""
    body, extra = error_body(status, code_of(status), message)
    lines = [
        b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode()),
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        b"Connection: close",
        *(name + b": " + value for name, value in extra),
        *([b"Retry-After: %d" % COME_BACK_SECONDS] if status == 503 else []),
    ]
    return b"\r\n".join([*lines, b"", body])
