"""Whatever goes wrong, in the envelope."""

import logging
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest
from rest_framework import exceptions as drf

from taskmaster.core import errors

from .envelope import Reply, refusal

logger = logging.getLogger(__name__)

_TRANSLATED: dict[type[Exception], type[errors.ApiError]] = {
    Http404: errors.NotFound,
    drf.NotFound: errors.NotFound,
    drf.MethodNotAllowed: errors.MethodNotAllowed,
    drf.UnsupportedMediaType: errors.UnsupportedMediaType,
    drf.ParseError: errors.BadRequest,
    RequestDataTooBig: errors.BodyTooLarge,
}


def handle(error: Exception, context: dict[str, Any]) -> Reply:
    """REST framework's exception handler: a Reply for everything, so that nothing ever becomes a page of HTML."""
    return refusal(translate(error), context["request"])


def translate(error: Exception) -> errors.ApiError:
    """Our error for whatever was raised; the unexpected is logged and told as a plain 500."""
    if isinstance(error, errors.ApiError):
        return error
    if isinstance(error, drf.ValidationError):
        details = list(_flatten("", error.detail))
        said = "; ".join(f"{entry['field']}: {entry['message']}" for entry in details[:3])
        return errors.ValidationFailed(said, details=details)
    if isinstance(error, (OperationalError, InterfaceError)):
        logger.warning("the database did not answer: %s", type(error).__name__)
        return errors.Unavailable(retry_after=1)
    for theirs, ours in _TRANSLATED.items():
        if isinstance(error, theirs):
            return ours()
    logger.error("unexpected %s", type(error).__name__, exc_info=error)
    return errors.ApiError()


def _flatten(path: str, detail: Any) -> list[errors.Detail]:
    if isinstance(detail, dict):
        inner = (_flatten(f"{path}.{name}" if path else str(name), value) for name, value in detail.items())
        return [entry for entries in inner for entry in entries]
    if isinstance(detail, list):
        return [entry for value in detail for entry in _flatten(path, value)]
    return [{"field": path.removesuffix(".non_field_errors") or "body", "message": str(detail)}]


def bad_request(request: HttpRequest, exception: Exception | None = None) -> Reply:
    """Django's handler400."""
    return refusal(errors.BadRequest(), request)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> Reply:
    """Django's handler403."""
    return refusal(errors.Forbidden(), request)


def csrf_failure(request: HttpRequest, reason: str = "") -> Reply:
    """Django's CSRF_FAILURE_VIEW."""
    return refusal(errors.Forbidden(reason), request)


def not_found(request: HttpRequest, exception: Exception | None = None) -> Reply:
    """Django's handler404."""
    return refusal(errors.NotFound(), request)


def server_error(request: HttpRequest) -> Reply:
    """Django's handler500."""
    return refusal(errors.ApiError(), request)
