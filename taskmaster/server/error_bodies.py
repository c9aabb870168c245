"""What the server itself says when a request cannot even reach the application."""

import orjson

from taskmaster.api.envelope import render_failure
from taskmaster.core import log
from taskmaster.core.ids import new_id

from .limits import Headers


def error_body(status: int, code: str, message: str) -> tuple[bytes, Headers]:
    """The envelope of a failure, and its request id as a header."""
    current = new_id("req")
    log.request_id.set(current)
    body = render_failure(orjson.dumps({"error": message, "code": code, "details": None}))
    return body, [(b"X-Request-ID", current.encode())]
