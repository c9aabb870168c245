"""Around every request: its id, who is calling, how much they may, and the envelope for what no view answers."""

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from taskmaster.core import errors
from taskmaster.core.ids import new_id
from taskmaster.core.log import org_id, request_id
from taskmaster.orgs.models import ApiToken
from taskmaster.orgs.tokens import find_token, note_use

from .envelope import refusal
from .ratelimit import Usage, count_address, count_token

API = "/api/v1/"
UNLIMITED = frozenset(
    f"{prefix}/{name}" for prefix in ("", "/api/v1") for name in ("health", "livez", "readyz", "metrics")
)
OPEN = frozenset({"/openapi.json", "/docs"})
# A hook's callers have no token: they sign, which its view checks and counts.
HOOK = re.compile(r"/api/v1/hooks/[^/]+\Z")
SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}\Z")

View = Callable[[HttpRequest], HttpResponse]


class ApiRequest(HttpRequest):
    """A request as it leaves this middleware."""

    token: ApiToken | None


class ApiMiddleware:
    """The gate of the API; pages for people (admin, static files) only get a request id."""

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request, with the headers that every answer carries."""
        given = request.headers.get("X-Request-ID", "")
        current = given if SANE_REQUEST_ID.match(given) else new_id("req")
        request_id.set(current)
        org_id.set(None)
        response = self._answer(request)
        response["X-Request-ID"] = current
        return response

    def _answer(self, request: HttpRequest) -> HttpResponse:
        request.token = None  # type: ignore[attr-defined]
        if request.path in UNLIMITED or HOOK.match(request.path):
            return self.get_response(request)
        if request.path in OPEN:
            usage = count_address(request)
            response = _too_many(request, usage) if usage.exceeded else self.get_response(request)
        elif request.path.startswith(API):
            response, usage = self._answer_api(request)
        else:
            return self.get_response(request)
        usage.mark(response)
        return response

    def _answer_api(self, request: HttpRequest) -> tuple[HttpResponse, Usage]:
        token, error = authenticate(request)
        if token is None:
            usage = count_address(request)
            return (_too_many(request, usage) if usage.exceeded else refusal(error, request)), usage
        usage = count_token(request, token)
        if usage.exceeded:
            return _too_many(request, usage), usage
        note_use(token)
        request.token = token  # type: ignore[attr-defined]
        org_id.set(token.org_id)
        refused = refuse(request, token)
        return (refusal(refused, request) if refused else self.get_response(request)), usage


def authenticate(request: HttpRequest) -> tuple[ApiToken | None, errors.ApiError]:
    """The caller's token, or the error that says why there is none."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        return None, errors.Unauthenticated("Send Authorization: Bearer <token>.")
    token = find_token(secret.strip())
    if token is None:
        return None, errors.Unauthenticated("The token is unknown, expired or revoked.")
    if not request.headers.get("X-Org-ID"):
        return None, errors.Unauthenticated("Send the organization's id as X-Org-ID.")
    return token, errors.Unauthenticated()


def refuse(request: HttpRequest, token: ApiToken) -> errors.ApiError | None:
    """Why this valid token may not come in, if it may not."""
    if request.headers["X-Org-ID"] != token.org_id:
        return errors.WrongOrganization()
    if token.org.is_suspended:
        return errors.OrganizationSuspended()
    if limit := request.META.get("taskmaster.body_over"):
        return errors.BodyTooLarge.over(limit)
    return None


def _too_many(request: HttpRequest, usage: Usage) -> HttpResponse:
    return refusal(errors.RateLimited(retry_after=usage.retry_after), request)
