"""Writing to the event log: in the transaction of the change that the event tells of."""

from typing import Any

from django.db import transaction

from taskmaster.core.prepared import insert

from . import relay
from .catalogue import EVENT_TYPES
from .models import Event

News = tuple[str, dict[str, Any]]


def record(org_id: str, *news: News) -> None:
    """Write events, in order, in the caller's transaction; each is a type of the catalogue and its data."""
    unknown = {kind for kind, _ in news} - EVENT_TYPES
    if unknown:
        raise ValueError(f"not in the catalogue: {sorted(unknown)}")
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("an event is written in the transaction of its change")
    insert(Event(org_id=org_id, event_type=kind, data=data) for kind, data in news)
    transaction.on_commit(relay.wake)
