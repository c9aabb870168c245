"""What comes in through the hooks of triggers: each delivery starts one workflow, however often it is sent."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction

from taskmaster.core.clock import now
from taskmaster.core.errors import Conflict, IdempotencyConflict, NotFound, ValidationFailed

from . import lifecycle
from .launching import limits_of, made_from
from .models import Trigger, TriggerDelivery, Workflow
from .template_store import find

# Who says which delivery it is, and what happened: the first of these headers that is there.
KEYS = ("Idempotency-Key", "webhook-id", "X-GitHub-Delivery")
EVENTS = ("X-TaskMaster-Event", "X-GitHub-Event", "X-Event-Key", "ce-type")
LONGEST_EVENT = 200
# Senders try again for a day or two.
REMEMBERED = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery whose signature was right. `key` is a digest of what it calls itself, "" where it has no name."""

    payload: Any
    event: str | None
    key: str
    fingerprint: str


class _Twin(Exception):
    pass


def read(headers: Mapping[str, str], body: bytes, payload: Any) -> Delivery:
    """The delivery as its headers tell it."""
    named = next((name for name in KEYS if headers.get(name)), None)
    event = next((headers[name] for name in EVENTS if headers.get(name)), None)
    return Delivery(
        payload=payload,
        event=event[:LONGEST_EVENT] if event else None,
        key=f"{named}:{_digest(headers[named].encode(errors='replace'))}" if named else "",
        fingerprint=_digest(body),
    )


def receive(trigger: Trigger, delivery: Delivery) -> tuple[str, bool]:
    """The id of the workflow that it starts, or has started before, which the second value says.

    Raises IdempotencyConflict where another body came under the same key, Conflict where the trigger's template is
    gone or does not take its overrides any more.
    """
    stored = _stored(trigger, delivery)
    if stored is None:
        try:
            return _first(trigger, delivery), False
        except _Twin:
            stored = TriggerDelivery.objects.get(trigger=trigger, key=delivery.key)
    if stored.fingerprint != delivery.fingerprint:
        raise IdempotencyConflict("This delivery came before, with another body.")
    return stored.workflow_id, True


def _stored(trigger: Trigger, delivery: Delivery) -> TriggerDelivery | None:
    return TriggerDelivery.objects.filter(trigger=trigger, key=delivery.key).first() if delivery.key else None


@transaction.atomic
def _first(trigger: Trigger, delivery: Delivery) -> str:
    row = TriggerDelivery(trigger=trigger, key=delivery.key, fingerprint=delivery.fingerprint)
    if delivery.key:
        try:
            # Of two at once the second waits here until the first has committed.
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError:
            raise _Twin from None
    workflow = _started(trigger, delivery)
    if delivery.key:
        TriggerDelivery.objects.filter(pk=row.pk).update(workflow_id=workflow.pk)
    Trigger.objects.filter(pk=trigger.pk).update(last_received_at=now(), last_workflow_id=workflow.pk)
    return workflow.pk


def _started(trigger: Trigger, delivery: Delivery) -> Workflow:
    data = dict(trigger.workflow_data)
    data["context"] = (data.get("context") or {}) | {"payload": delivery.payload, "event": delivery.event}
    try:
        template = find(trigger.org, trigger.template_key)
        workflow = made_from(template, org=trigger.org, data=data, trigger_id=trigger.pk)
    except (NotFound, ValidationFailed) as error:
        # Neither is the sender's fault, nor anything that it can mend.
        raise Conflict(f"The trigger's template cannot be used: {error}") from None
    lifecycle.start(workflow, **limits_of(trigger.execution_context))
    return workflow


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
