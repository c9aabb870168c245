"""Tells which failures of a model endpoint may pass and which will not, in words that hold no secret."""

import asyncio
import json
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from ..base import BackendError

MODEL = "the model endpoint"
LIMITED = 429
PASSING = frozenset({408, 409, 423, 425, LIMITED})
LONGEST_REASON = 300
LONGEST_WAIT = 24 * 3600 * 1000
HIDDEN = "[hidden]"
SIZE_WORDS = ("context_length", "context size", "context length", "exceed_context", "maximum context")


class TooMuch(BackendError):
    """The endpoint said that the request is longer than the model can read."""


def storable(text: str) -> str:
    """The text without what no database takes: NUL, and halves of surrogate pairs."""
    return text.replace("\0", "�").encode(errors="replace").decode()


def hidden(text: str, *secrets: str, longest: int = LONGEST_REASON) -> str:
    """The text in one short line, without the secrets."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return storable(" ".join(text.split())[:longest])


def refused(status: int, headers: Mapping[str, str], body: str, secret: str) -> BackendError:
    """The error for a model endpoint's answer other than 200."""
    error = answered(MODEL, status, headers, body, secret)
    if status in {400, 413, 422} and any(word in body.lower() for word in SIZE_WORDS):
        return TooMuch(str(error), code="context_too_long")
    return error


def answered(
    who: str, status: int, headers: Mapping[str, str], body: str, *secrets: str, passing: frozenset[int] = PASSING
) -> BackendError:
    """The error for an HTTP answer that is no success; a status in `passing` or of 500 and more may pass."""
    if 300 <= status < 400:
        return BackendError(f"{who} answered {status}: it has moved, and redirects are not followed")
    reason = hidden(_reason(body), *secrets)
    transient = status in passing or status >= 500
    return BackendError(
        f"{who} answered {status}" + (f": {reason}" if reason else ""),
        transient=transient,
        retry_after=wait(headers) if transient else None,
        limited=status == LIMITED,
    )


def broken(error: Exception, who: str = MODEL) -> BackendError:
    """The error for a connection that could not be made or did not last."""
    if isinstance(error, aiohttp.InvalidURL | ValueError | aiohttp.ClientConnectorCertificateError):
        return BackendError(f"{who} cannot be called ({type(error).__name__})")
    if isinstance(error, asyncio.TimeoutError):
        return BackendError(f"{who} did not answer in time", transient=True)
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = error.os_error.strerror or "no connection"
        return BackendError(f"{who} cannot be reached ({reason})", transient=True)
    return BackendError(f"the connection to {who} broke ({type(error).__name__})", transient=True)


def told(error: Any, secret: str, *, began: bool) -> BackendError:
    """The error for one that was sent inside an answer; `began` where some of its text was there already."""
    reason = hidden(_reason(json.dumps({"error": error})), secret)
    code = error.get("code") if isinstance(error, dict) else None
    permanent = isinstance(code, int) and 400 <= code < 500 and code not in PASSING
    if not began and any(word in json.dumps(error).lower() for word in SIZE_WORDS):
        return TooMuch(f"{MODEL} gave up: {reason}", code="context_too_long")
    return BackendError(f"{MODEL} gave up: {reason}", transient=not permanent, limited=code == LIMITED)


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
