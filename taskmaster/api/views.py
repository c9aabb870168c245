"""The base of all views: scopes, strict bodies, idempotency, tenancy."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, ClassVar

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.serializers import Serializer
from rest_framework.viewsets import ViewSet

from taskmaster.core import errors
from taskmaster.core.prepared import M, Select
from taskmaster.orgs.models import ApiToken, Organization

from .idempotency import once
from .parsers import parse_object

Handler = Callable[..., HttpResponseBase]
MAX_ID = 64
EVENT_STREAM = "text/event-stream"


class ApiViewSet(ViewSet):
    """A resource of the API.

    `scopes` says which scope an action needs; by default reads need `read` and the rest `write`. `bodies` says what an
    action's body must be.
    """

    scopes: ClassVar[dict[str, str]] = {}
    bodies: ClassVar[dict[str, type[Serializer[Any]]]] = {}
    http_method_names = ["get", "post", "put", "patch", "delete", "head"]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Before the action: may this token do it, and has this very request been answered before?"""
        method = (request.method or "").lower()
        action = getattr(self, "action", None)
        if action is None:
            return  # REST framework answers 405.
        scope = self.scopes.get(action) or ("read" if method in ("get", "head") else "write")
        if scope not in self.token.scopes:
            raise errors.MissingScope(f"This needs a token with the scope {scope}.")
        key = request.headers.get("Idempotency-Key")
        if method == "post" and key is not None and not self.streams(request):
            self.post: Handler = partial(once, key, self, getattr(self, action))

    @property
    def token(self) -> ApiToken:
        """The caller's token."""
        return self.request._request.token  # type: ignore[attr-defined, no-any-return]

    @property
    def org(self) -> Organization:
        """The caller's organization."""
        return self.token.org

    def streams(self, request: Request) -> bool:
        """Whether the caller asks for server-sent events."""
        return EVENT_STREAM in request.headers.get("Accept", "")

    def body(self) -> dict[str, Any]:
        """The body, checked by the action's serializer. Raises BadRequest, UnsupportedMediaType or ValidationFailed."""
        return dict(_checker(self.bodies[self.action]).run_validation(read_body(self.request._request)))

    def optional_body(self) -> dict[str, Any]:
        """The same for an action whose body may be empty."""
        raw = optional_body(self.request._request)
        return dict(_checker(self.bodies[self.action]).run_validation(raw))

    def find(self, query: Select[M], pk: str, **ids: str) -> M:
        """The organization's object with this id, by a query with the slots `pk` and `org`. Raises NotFound.

        Everybody else's objects are not found either. An id that cannot be one never reaches the database.
        """
        sane = all(each.isascii() and each.isprintable() and len(each) <= MAX_ID for each in (pk, *ids.values()))
        found = query.first(pk=pk, org=self.token.org_id, **ids) if sane else None
        if found is None:
            raise errors.NotFound()
        return found


@cache
def _checker(serializer: type[Serializer[Any]]) -> Serializer[Any]:
    """One serializer for all requests: it keeps nothing of them, and making one costs more than a query."""
    return serializer()


def read_body(request: HttpRequest) -> dict[str, Any]:
    """The body's JSON object; an action's body may be empty, which is an empty object to a serializer's defaults."""
    content_type = request.content_type or ""
    raw = request.body
    if not raw and not content_type:
        return {}
    if content_type != "application/json":
        raise errors.UnsupportedMediaType()
    return parse_object(raw)


def optional_body(request: HttpRequest) -> dict[str, Any]:
    """For actions, whose body may be empty: the object, or an empty one."""
    return read_body(request) if request.body else {}
