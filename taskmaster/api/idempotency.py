"""Idempotency-Key: the same POST twice has one effect and one answer."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.http import HttpRequest

from taskmaster.core.clock import now
from taskmaster.core.errors import IdempotencyConflict, ValidationFailed
from taskmaster.core.secret_box import seal, unseal
from taskmaster.core.subscriptions import can_resume, resume_wait

from .envelope import Reply, refusal
from .exceptions import translate
from .models import IdempotencyKey

if TYPE_CHECKING:
    from .views import ApiViewSet

KEPT = timedelta(hours=24)
# A caller told one of these is expected to try again, so the answer is not kept.
NOT_STORED = frozenset({409, 429, 500, 503})


class _NotStored(Exception):
    def __init__(self, response: Reply) -> None:
        super().__init__()
        self.response = response


class _Twin(Exception):
    pass


def once(key: str, view: "ApiViewSet", handler: Callable[..., Reply], request: Any, *args: Any, **kwargs: Any) -> Reply:
    """Call the handler, or replay what it answered the first time. Raises IdempotencyConflict."""
    if not key or len(key) > 255 or not key.isascii() or not key.isprintable():
        raise ValidationFailed.of("Idempotency-Key", "1 to 255 printable ASCII characters")
    print_ = fingerprint(request._request)
    keys = IdempotencyKey.objects.filter(org=view.org, key=key)
    stored = keys.first()
    if stored and stored.created_at < now() - KEPT:
        stored.delete()
        stored = None
    if stored:
        return replay(stored, print_)
    try:
        with transaction.atomic():
            return _first(IdempotencyKey(org=view.org, key=key, fingerprint=print_), handler, request, *args, **kwargs)
    except _NotStored as passing:
        return passing.response
    except _Twin:
        return replay(keys.get(), print_)


def _first(row: IdempotencyKey, handler: Callable[..., Reply], request: Any, *args: Any, **kwargs: Any) -> Reply:
    try:
        # Of two at once the second waits here, at the unique key, until the first has committed.
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise _Twin from None
    try:
        with transaction.atomic():
            response = handler(request, *args, **kwargs)
    except Exception as error:
        response = refusal(translate(error), request)
    if response.status_code in NOT_STORED or (response.wait and not can_resume(response.wait.key)):
        raise _NotStored(response)
    store(row, response)
    if response.wait:
        response.wait.idempotency = row.pk
    return response


def fingerprint(request: HttpRequest) -> str:
    """What makes two requests the same: method, path and body."""
    parts = (request.method or "", request.get_full_path(), request.body)
    return hashlib.sha256(b"\0".join(p.encode() if isinstance(p, str) else p for p in parts)).hexdigest()


def store(row: IdempotencyKey, response: Reply) -> None:
    """Keep an answer, sealed."""
    row.status, row.location, row.sealed = response.status_code, response.location, seal(response.payload)
    row.waits_for = response.wait.key if response.wait else ""
    row.save()


def store_final(pk: int, response: Reply) -> None:
    """Put the final answer in the place of the interim one, once."""
    IdempotencyKey.objects.filter(pk=pk).exclude(waits_for="").update(
        status=response.status_code, location=response.location, sealed=seal(response.payload), waits_for=""
    )


def replay(row: IdempotencyKey, print_: str) -> Reply:
    """The stored answer again; where it is still being waited for, its caller waits as the first one did."""
    if row.fingerprint != print_:
        raise IdempotencyConflict()
    response = Reply(unseal(row.sealed), status=row.status, location=row.location)
    response["Idempotent-Replayed"] = "true"
    if row.waits_for:
        response.wait = resume_wait(row.waits_for)
        response.wait.idempotency = row.pk
    return response
