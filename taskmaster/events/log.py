"""Writing to the event log: in the transaction of the change that the event tells of."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction

from taskmaster.core.clock import now
from taskmaster.core.ids import new_id
from taskmaster.core.inserts import insert_values

from . import relay
from .catalogue import EVENT_TYPES
from .models import Event

News = tuple[str, dict[str, Any]]

# No database takes any number of values in one statement.
AT_ONCE = 1000

# What the tests ask of every event before it is written: that its data is what the catalogue says.
checks: list[Callable[[str, dict[str, Any]], None]] = []


# The values of an event's fields, in their order: an instance would cost as much as all the rest of its writing.
Row = tuple[Any, ...]


class _Gathered(threading.local):
    events: list[Row] | None = None


_gathered = _Gathered()


def record(org_id: str, *news: News) -> None:
    """Write events, in order, in the caller's transaction; each is a type of the catalogue and its data."""
    unknown = {kind for kind, _ in news} - EVENT_TYPES
    if unknown:
        raise ValueError(f"not in the catalogue: {sorted(unknown)}")
    for check in checks:
        for kind, data in news:
            check(kind, data)
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("an event is written in the transaction of its change")
    events: list[Row] = [(new_id("evt"), org_id, kind, data, now(), None) for kind, data in news]
    if _gathered.events is not None:
        _gathered.events += events
    else:
        _write(events)


@contextmanager
def together() -> Iterator[None]:
    """Write what is recorded inside by one statement at the end, in the same transaction; nothing, if it fails."""
    if _gathered.events is not None:
        yield
        return
    _gathered.events = []
    try:
        yield
        _write(_gathered.events)
    finally:
        _gathered.events = None


def _write(events: list[Row]) -> None:
    for start in range(0, len(events), AT_ONCE):
        insert_values(Event, events[start : start + AT_ONCE])
    if events:
        transaction.on_commit(relay.wake)
