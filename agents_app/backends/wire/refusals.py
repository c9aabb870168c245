"""Tells which failures of a model endpoint may pass and which will not, in words that hold no secret."""

import asyncio
import json
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from ..base import BackendError

PASSING = frozenset({408, 409, 423, 425, 429})
LONGEST_REASON = 300
LONGEST_WAIT = 24 * 3600 * 1000
HIDDEN = "[hidden]"
SIZE_WORDS = ("context_length", "context size", "context length", "exceed_context", "maximum context")


class TooMuch(BackendError):
    """The endpoint said that the request is longer than the model can read."""


def hidden(text: str, secret: str) -> str:
    """The text in one short line, without the secret."""
    shown = text.replace(secret, HIDDEN) if secret else text
    return " ".join(shown.split())[:LONGEST_REASON]


def refused(status: int, headers: Mapping[str, str], body: str, secret: str) -> BackendError:
    """The error for an HTTP answer other than 200."""
    if 300 <= status < 400:
        return BackendError(f"the model endpoint answered {status}: it has moved, and redirects are not followed")
    reason = hidden(_reason(body), secret)
    message = f"the model endpoint answered {status}" + (f": {reason}" if reason else "")
    if status in {400, 413, 422} and any(word in body.lower() for word in SIZE_WORDS):
        return TooMuch(message, code="context_too_long")
    transient = status in PASSING or status >= 500
    return BackendError(message, transient=transient, retry_after=wait(headers) if transient else None)


def broken(error: Exception) -> BackendError:
    """The error for a connection that could not be made or did not last."""
    if isinstance(error, aiohttp.InvalidURL | ValueError | aiohttp.ClientConnectorCertificateError):
        return BackendError(f"the model endpoint cannot be called ({type(error).__name__})")
    if isinstance(error, asyncio.TimeoutError):
        return BackendError("the model endpoint did not answer in time", transient=True)
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = error.os_error.strerror or "no connection"
        return BackendError(f"the model endpoint cannot be reached ({reason})", transient=True)
    return BackendError(f"the connection to the model endpoint broke ({type(error).__name__})", transient=True)


def told(error: Any, secret: str, *, began: bool) -> BackendError:
    """The error for one that was sent inside an answer; `began` where some of its text was there already."""
    reason = hidden(_reason(json.dumps({"error": error})), secret)
    code = error.get("code") if isinstance(error, dict) else None
    permanent = isinstance(code, int) and 400 <= code < 500 and code not in PASSING
    if not began and any(word in json.dumps(error).lower() for word in SIZE_WORDS):
        return TooMuch(f"the model endpoint gave up: {reason}", code="context_too_long")
    return BackendError(f"the model endpoint gave up: {reason}", transient=not permanent)


def wait(headers: Mapping[str, str]) -> int | None:
    """Retry-After (RFC 9110, 10.2.3) in milliseconds, of either form, or None."""
    value = headers.get("Retry-After", "").strip()
    try:
        seconds = float(value) if value[:1].isdigit() else parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(0, round(seconds * 1000)), LONGEST_WAIT)


def _reason(body: str) -> str:
    """What an error body says: {"error": {"message"}}, {"error": "…"}, {"message"} and {"detail"} are all about."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return "" if "<" in body[:100] else body  # a proxy's page says nothing that a person wants to read
    found = parsed
    while isinstance(found, dict):
        found = next((found[k] for k in ("error", "message", "detail") if found.get(k)), "")
    return found if isinstance(found, str) else json.dumps(found)
