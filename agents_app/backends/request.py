"""A workflow's `http` step: one guarded request to an address that the workflow names. No agent of anybody's."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .base import Answer, BackendError, Json, Reporter, Request, Unready

PASSING = frozenset({408, 425, 429})
LONGEST_SHOWN = 500


@dataclass(frozen=True, slots=True)
class Call:
    """What is to be sent; `seconds` bounds it all."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back, or `problem`: why nothing did, and whether `again` may help."""

    status: int = 0
    content_type: str = ""
    body: bytes = b""
    problem: str = ""
    again: bool = False


class RequestBackend:
    """Sends `context.request` {method, url, headers, body, expect} of the task, by a call that guards addresses."""

    name = "request"
    remembers = resumes = works_in_files = False

    def __init__(self, send: Callable[[Call], Awaitable[Outcome]]) -> None:
        self._send = send

    async def run(self, request: Request, reporter: Reporter) -> Answer:
        """The reply as a result {status, body, json}. Raises BackendError for a status that was not expected."""
        wanted = dict(request.context["request"])
        body = wanted.get("body")
        call = Call(
            method=wanted["method"],
            url=wanted["url"],
            headers=wanted.get("headers") or {},
            body=body.encode() if isinstance(body, str) else None,
            seconds=request.timeout / 1000,
        )
        reporter.log(f"{call.method} {call.url}")
        outcome = await self._send(call)
        if outcome.problem:
            raise BackendError(outcome.problem, code="request_failed", transient=outcome.again)
        reporter.log(f"{outcome.status}, {len(outcome.body)} bytes")
        text = outcome.body.decode(errors="replace").replace("\0", "�")
        if not _expected(outcome.status, wanted.get("expect")):
            again = outcome.status in PASSING or outcome.status >= 500
            shown = f": {text[:LONGEST_SHOWN]}" if text.strip() else ""
            raise BackendError(f"it answered {outcome.status}{shown}", code="request_failed", transient=again)
        result = {"status": outcome.status, "contentType": outcome.content_type, "body": text}
        return Answer(text, result=result | _parsed(text), backend=self.name)

    def unready(self, config: Mapping[str, Json]) -> Unready | None:
        """Always there."""
        return None


def _expected(status: int, expected: Any) -> bool:
    return status in expected if isinstance(expected, list) and expected else 200 <= status < 300


def _parsed(text: str) -> dict[str, Any]:
    try:
        return {"json": json.loads(text)}
    except (ValueError, RecursionError):
        return {}
