"""Health, status and metrics."""

from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework.request import Request

from taskmaster.api.envelope import Reply, refusal, reply
from taskmaster.api.middleware import authenticate
from taskmaster.api.ratelimit import client_address
from taskmaster.api.views import ApiViewSet
from taskmaster.core.errors import MethodNotAllowed, Unhealthy

from . import numbers
from .health import HEALTHY, NEEDED, UNHEALTHY, checker, overall
from .metrics import exposition
from .process import process


def safe(view: Any) -> Any:
    """For views outside REST framework: GET and HEAD only."""

    @csrf_exempt  # whose refusal would be a page, and would come first
    def guarded(request: HttpRequest) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return refusal(MethodNotAllowed(), request)
        response: HttpResponse = view(request)
        return response

    return guarded


def unwell(error: str, members: dict[str, Any]) -> Reply:
    """503, a failure that still shows what was found."""
    return Reply(orjson.dumps({"error": error, "code": Unhealthy.code, "details": None} | members), status=503)


@safe
def health(request: HttpRequest) -> Reply:
    """The reference's health document; 503 where a needed part is down."""
    components = checker.components()
    members: dict[str, Any] = {
        "status": overall(components),
        "uptime": process.uptime,
        "version": settings.VERSION,
        "components": components,
    }
    if members["status"] != UNHEALTHY:
        return reply(members, stamped=True)
    down = [name for name in NEEDED if components[name] == UNHEALTHY]
    return unwell(f"Down: {', '.join(down)}.", members)


@safe
def livez(request: HttpRequest) -> Reply:
    """The process answers."""
    return reply({"status": "alive"})


@safe
def readyz(request: HttpRequest) -> Reply:
    """The process wants requests: it is not stopping, and its database answers."""
    ready = not process.draining and checker.components()["database"] == HEALTHY
    return reply({"status": "ready"}) if ready else unwell("Not ready.", {"status": "not ready"})


class SystemViewSet(ApiViewSet):
    """`/system/status` and `/org/usage`."""

    scopes = {"usage": "admin"}

    def status(self, request: Request) -> Reply:
        """What runs, in numbers."""
        return reply({"status": numbers.status_document(self.org)})

    def usage(self, request: Request) -> Reply:
        """What the organization has used."""
        return reply({"usage": numbers.usage_document(self.org)})


@safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text; from loopback, or with a token."""
    if client_address(request) not in ("127.0.0.1", "::1"):
        token, error = authenticate(request)
        if token is None:
            return refusal(error, request)
    return HttpResponse(exposition(), content_type="text/plain; version=0.0.4; charset=utf-8")
