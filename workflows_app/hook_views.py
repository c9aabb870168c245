"""`POST /hooks/{id}`: no token, the signature is the credential."""

from typing import Any

from django.http import HttpRequest
from django.views.decorators.csrf import csrf_exempt

from taskmaster.api.envelope import Reply, refusal, reply
from taskmaster.api.exceptions import translate
from taskmaster.api.ratelimit import Usage, count_address, count_hook
from taskmaster.api.views import MAX_ID
from taskmaster.core import log
from taskmaster.core.errors import (
    ApiError,
    BadRequest,
    BodyTooLarge,
    MethodNotAllowed,
    NotFound,
    OrganizationSuspended,
    RateLimited,
    Unauthenticated,
    UnsupportedMediaType,
)
from taskmaster.core.secret_box import SecretUnreadable
from taskmaster.core.strict_json import JsonRefused, parse
from taskmaster.core.verifying import is_signed

from . import deliveries
from .models import Trigger
from .triggers import new_secret

NOT_SIGNED = "The signature is missing or wrong, or its timestamp is not of these minutes."
# What is compared with where there is no such hook, so that it takes as long. Nobody knows it.
NOBODYS_SECRET = new_secret()


@csrf_exempt
def receive(request: HttpRequest, pk: str) -> Reply:
    """A delivery starts a workflow of the trigger's template: 202 with its id.

    Whoever cannot sign is counted by address, whoever can by hook: strangers never use up what a sender may.
    """
    try:
        trigger = _sender(request, pk)
    except Exception as error:
        return _refused(request, translate(error), count_address(request))
    log.org_id.set(trigger.org_id)
    usage = count_hook(request, trigger.pk, trigger.org.rate_limit)
    try:
        if usage.exceeded:
            raise RateLimited(retry_after=usage.retry_after)
        response = _accepted(request, trigger)
    except Exception as error:
        response = refusal(translate(error), request)
    usage.mark(response)
    return response


def _refused(request: HttpRequest, error: ApiError, usage: Usage) -> Reply:
    if usage.exceeded:
        error = RateLimited(retry_after=usage.retry_after)
    response = refusal(error, request)
    if isinstance(error, MethodNotAllowed):
        response["Allow"] = "POST"
    usage.mark(response)
    return response


def _sender(request: HttpRequest, pk: str) -> Trigger:
    """The trigger whose secret the request is signed with. Raises ApiError."""
    if request.method != "POST":
        raise MethodNotAllowed()
    if limit := request.META.get("taskmaster.body_over"):
        raise BodyTooLarge.over(limit)
    is_sane = pk.isascii() and pk.isprintable() and len(pk) <= MAX_ID
    trigger = Trigger.objects.filter(pk=pk if is_sane else "").select_related("org").first()
    signed = is_signed(_secret(trigger), request.body, request.headers)
    if trigger is None:
        raise NotFound()
    if not signed:
        raise Unauthenticated(NOT_SIGNED)
    return trigger


def _secret(trigger: Trigger | None) -> str:
    """A secret that cannot be read any more is nobody's."""
    try:
        return str(trigger.secret) if trigger else NOBODYS_SECRET
    except SecretUnreadable:
        return NOBODYS_SECRET


def _accepted(request: HttpRequest, trigger: Trigger) -> Reply:
    if trigger.org.is_suspended:
        raise OrganizationSuspended()
    if request.headers.get("X-GitHub-Event") == "ping":
        return reply({"message": "pong"})
    delivery = deliveries.read(request.headers, request.body, _payload(request))
    workflow_id, again = deliveries.receive(trigger, delivery)
    response = reply({"workflowId": workflow_id}, 202, location=f"/api/v1/workflows/{workflow_id}")
    if again:
        response["Idempotent-Replayed"] = "true"
    return response


def _payload(request: HttpRequest) -> Any:
    """The body's JSON value, null where it is empty. Raises BadRequest or UnsupportedMediaType."""
    content_type = request.content_type or "application/json"
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise UnsupportedMediaType()
    try:
        return parse(request.body) if request.body else None
    except JsonRefused as refused:
        raise BadRequest(f"The body is not valid JSON: {refused}") from None
