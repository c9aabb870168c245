"""The one envelope around every answer. The payload is rendered once; both readings of it are cut from those bytes."""

from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer

from taskmaster.core.clock import iso, now
from taskmaster.core.errors import ApiError
from taskmaster.core.ids import new_id
from taskmaster.core.log import request_id

from .waits import Wait

PROBLEM = "application/problem+json"


class Reply(HttpResponse):
    """A response in the envelope. `payload` is what stands inside: the members, or code, error and details.

    `wait`, where there is one, is what the caller would rather have: the edge holds the request for it and sends this
    reply only if it does not come in time.
    """

    def __init__(
        self, payload: bytes, *, status: int, location: str = "", as_problem: bool = False, stamped: bool = False
    ) -> None:
        if status < 400:
            body = render_members(payload, stamped=stamped)
        else:
            body = render_problem(payload, status) if as_problem else render_failure(payload)
        content_type = PROBLEM if as_problem and status >= 400 else "application/json"
        super().__init__(body, status=status, content_type=content_type)
        self.payload = payload
        self.location = location
        self.wait: Wait | None = None
        if location:
            self["Location"] = location


def reply(members: dict[str, Any], status: int = 200, *, location: str = "", stamped: bool = False) -> Reply:
    """A success, with the members that the endpoint shows; `stamped` where the timestamp is one of them."""
    return Reply(orjson.dumps(members), status=status, location=location, stamped=stamped)


def wants_problem(request: HttpRequest | None) -> bool:
    """Whether the caller asks for RFC 9457."""
    return request is not None and PROBLEM in request.headers.get("Accept", "")


def refusal(error: ApiError, request: HttpRequest | None = None, *, as_problem: bool = False) -> Reply:
    """A failure, as a plain envelope or as RFC 9457 where the request asks for that."""
    body = {"error": str(error), "code": error.code, "details": error.details}
    as_problem = as_problem or wants_problem(request)
    response = Reply(orjson.dumps(body), status=error.status, as_problem=as_problem)
    if error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    if error.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


def _head(success: bytes, moment: bytes) -> bytes:
    current = request_id.get() or new_id("req")
    return b'{"success":%b,"timestamp":"%b","requestId":%b' % (success, moment, orjson.dumps(current))


def _moment() -> bytes:
    return str(iso(now())).encode()


def render_members(payload: bytes, *, stamped: bool = False) -> bytes:
    """Success: the members at the top level and again under `data`."""
    inside, moment = payload[1:-1], _moment()
    again = b'{"timestamp":"%b",%b}' % (moment, inside) if stamped else payload
    return b'%b,"error":null%b%b,"data":%b}' % (_head(b"true", moment), b"," if inside else b"", inside, again)


def render_failure(payload: bytes) -> bytes:
    """Failure: `error`, `code` and `details`; `data` is null."""
    return b'%b,"data":null,%b' % (_head(b"false", _moment()), payload[1:])


def render_problem(payload: bytes, status: int) -> bytes:
    """RFC 9457 problem details, with our members as extensions."""
    problem = orjson.loads(payload)
    return orjson.dumps(
        {
            "type": "about:blank",
            "title": problem["code"].replace("_", " ").capitalize(),
            "status": status,
            "detail": problem["error"],
            "instance": request_id.get(),
            "code": problem["code"],
            "errors": problem["details"],
        }
    )


class EnvelopeRenderer(BaseRenderer):
    """For REST framework, which wants to know of a renderer; our views answer with a finished Reply."""

    media_type = "application/json"
    format = "json"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        """The members in the envelope."""
        return render_members(orjson.dumps(data))


class OneRenderer(BaseContentNegotiation):
    """There is one format, whatever is asked for."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        """The first."""
        return parsers[0]

    def select_renderer(self, request: Any, renderers: Any, format_suffix: str | None = None) -> Any:
        """The first."""
        return renderers[0], renderers[0].media_type
