"""The relay gives committed events their sequence numbers, in batches, in a transaction of its own.

A commit never waits for a counter. One relay works at a time (an advisory lock on PostgreSQL; one writer on SQLite),
and it sees committed rows only, so whatever a reader has seen numbered comes before whatever it has not.
"""

import logging
import threading
from collections import Counter
from collections.abc import Iterator

from django.db import close_old_connections, connection, transaction

from taskmaster.core.wakeups import hub

from .models import Event, EventCursor

logger = logging.getLogger(__name__)

BATCH = 1000
SWEEP_SECONDS = 1.0
_ADVISORY_LOCK = 0x7461736B  # "task"

_pending = threading.Event()


def wake() -> None:
    """Say that there may be committed events without a number."""
    _pending.set()


@transaction.atomic
def number_batch() -> Counter[str]:
    """Number one batch of events. Returns how many of which organization."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])
        rows = list(Event.objects.filter(sequence=None).order_by("number").values_list("number", "org_id")[:BATCH])
        counts = Counter(org_id for _, org_id in rows)
        if rows:
            cursor.executemany(
                f"UPDATE {Event._meta.db_table} SET sequence = %s WHERE number = %s",  # noqa: S608
                list(_numbered(rows, _take_numbers(counts))),
            )
    for org_id in counts:
        hub.send_on_commit(f"events:{org_id}")
    return counts


def _take_numbers(counts: Counter[str]) -> dict[str, int]:
    """Move the cursors on; returns the last sequence before each organization's batch."""
    EventCursor.objects.bulk_create([EventCursor(org_id=org_id) for org_id in counts], ignore_conflicts=True)
    cursors = {cursor.org_id: cursor for cursor in EventCursor.objects.filter(org_id__in=counts)}
    before = {org_id: cursor.last_sequence for org_id, cursor in cursors.items()}
    for org_id, cursor in cursors.items():
        cursor.last_sequence += counts[org_id]
    EventCursor.objects.bulk_update(cursors.values(), ["last_sequence"])
    return before


def _numbered(rows: list[tuple[int, str]], last: dict[str, int]) -> Iterator[tuple[int, int]]:
    for number, org_id in rows:
        last[org_id] += 1
        yield last[org_id], number


def drain() -> None:
    """Number everything that is committed by now."""
    while sum(number_batch().values()) == BATCH:
        pass


class Relay:
    """A thread that drains whenever it is woken, and once a second anyway. One a process."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._ending = False

    def start_once(self) -> None:
        """Start, unless it runs."""
        if self._thread is None:
            self._ending = False
            self._thread = threading.Thread(target=self._work, name="event-relay", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End after the current batch."""
        self._ending = True
        _pending.set()
        if self._thread:
            self._thread.join(5)
            self._thread = None

    def _work(self) -> None:
        while not self._ending:
            _pending.wait(SWEEP_SECONDS)
            _pending.clear()
            try:
                if Event.objects.filter(sequence=None).exists():
                    drain()
            except Exception as error:
                logger.warning("relay interrupted: %s", type(error).__name__)
            finally:
                close_old_connections()


relay = Relay()
