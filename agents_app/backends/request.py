"""A workflow's `http` step: one guarded request to an address that the workflow names. No agent of anybody's."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .base import Answer, BackendError, Json, Reporter, Request, Unready

LONGEST_SHOWN = 500
# Reads JSON strictly; raises ValueError.
ReadJson = Callable[[bytes], Json]


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
    """What came back, or `problem`: why nothing did."""

    status: int = 0
    content_type: str = ""
    body: bytes = b""
    problem: str = ""


class RequestBackend:
    """Sends `context.request` {method, url, headers, body, expect} of the task, by a call that guards addresses.

    No failure of it is transient: how often a request may be sent is for its step's `retries` to say, and nobody else.
    """

    name = "request"
    remembers = resumes = works_in_files = False

    def __init__(self, send: Callable[[Call], Awaitable[Outcome]], read_json: ReadJson) -> None:
        self._send = send
        self._read_json = read_json

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
            raise BackendError(outcome.problem, code="request_failed")
        reporter.log(f"{outcome.status}, {len(outcome.body)} bytes")
        text = outcome.body.decode(errors="replace").replace("\0", "�")
        if not _expected(outcome.status, wanted.get("expect")):
            shown = f": {text[:LONGEST_SHOWN]}" if text.strip() else ""
            raise BackendError(f"it answered {outcome.status}{shown}", code="request_failed")
        result = {"status": outcome.status, "contentType": outcome.content_type, "body": text}
        return Answer(text, result=result | self._parsed(outcome.body), backend=self.name)

    def _parsed(self, body: bytes) -> dict[str, Any]:
        """What could be stored and told again; `body` holds the rest."""
        try:
            return {"json": self._read_json(body)}
        except ValueError:
            return {}

    def unready(self, config: Mapping[str, Json]) -> Unready | None:
        """Always there."""
        return None


def _expected(status: int, expected: Any) -> bool:
    return status in expected if isinstance(expected, list) and expected else 200 <= status < 300
