"""Tells which refusals of the Codegen API may pass and which will not, in words that hold no secret."""

import json
from collections.abc import Mapping
from typing import Any

from ...base import BackendError
from ..refusals import LIMITED, PASSING, hidden, wait

WHO = "Codegen"


class Refused(BackendError):
    """An HTTP answer that is no success; `status` is its status."""

    status = 0


def refused(status: int, headers: Mapping[str, str], body: str, secret: str, window: float) -> Refused:
    """The error for such an answer. `window` is in how many seconds the limit that a 429 tells of is counted anew."""
    reason = hidden(_reason(body), secret)
    transient = status in PASSING or status >= 500
    retry_after = wait(headers) if transient else None
    if status == LIMITED and retry_after is None:
        retry_after = round(window * 1000)
    error = Refused(
        _message(status) + (f": {reason}" if reason else ""),
        code="not_configured" if status in {401, 403} else "agent_failed",
        transient=transient,
        retry_after=retry_after,
        limited=status == LIMITED,
    )
    error.status = status
    return error


def _message(status: int) -> str:
    if status in {401, 403}:
        return f"{WHO} does not accept config.apiKey for config.orgId ({status})"
    if 300 <= status < 400:
        return f"{WHO} answered {status}: it has moved, and redirects are not followed"
    return f"{WHO} answered {status}"


def _reason(body: str) -> str:
    """What an error body says: {"message", "status_code"}, {"detail": "…"} and {"detail": [{"loc", "msg"}]}."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return "" if "<" in body[:100] else body  # a proxy's page says nothing that a person wants to read
    if not isinstance(parsed, dict):
        return ""
    said = next((parsed[name] for name in ("message", "detail", "error") if parsed.get(name)), "")
    if isinstance(said, list):
        return "; ".join(map(_problem, said))
    return said if isinstance(said, str) else json.dumps(said)


def _problem(found: Any) -> str:
    if not isinstance(found, dict):
        return str(found)
    place = found.get("loc")
    where = ".".join(map(str, place)) if isinstance(place, list) else ""
    return f"{where}: {found.get('msg')}" if where else str(found.get("msg"))
