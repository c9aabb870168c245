"""The API's description, and its page, whose script is served from here and not from the web."""

from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

SPECTACULAR_SETTINGS = {
    "TITLE": "Task Master",
    "DESCRIPTION": "The control plane for AI coding agents.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SECURITY": [{"bearer": []}],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "taskmaster.api.event_schema.add_event_types",
        "workflows_app.hook_schema.add_hooks",
    ],
    "APPEND_COMPONENTS": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
    "DISABLE_ERRORS_AND_WARNINGS": True,
}


@cache
def _document() -> dict[str, Any]:
    from drf_spectacular.generators import SchemaGenerator

    document: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return document


@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """`/openapi.json`."""
    return JsonResponse(_document())


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """`/docs`."""
    return render(request, "docs.html")
