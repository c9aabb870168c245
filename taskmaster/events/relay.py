"""The relay gives committed events their sequence numbers, in batches, in a transaction of its own.

A commit never waits for a counter. One relay works at a time (an advisory lock on PostgreSQL; one writer on SQLite),
and it sees committed rows only, so whatever a reader has seen numbered comes before whatever it has not.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial

from django.db import connection, transaction

from taskmaster.core.bundles import Statement, run_alone
from taskmaster.core.database import keep_healthy
from taskmaster.core.plans import Plan
from taskmaster.core.wakeups import hub

from .models import Event

logger = logging.getLogger(__name__)

BATCH = 1000
SWEEP_SECONDS = 1.0
# A moment's pause before a batch takes the events of a burst together. The first event after a while, which somebody
# follows, does not wait for it; where nobody follows, it may be longer.
GATHER_SECONDS, UNFOLLOWED_SECONDS = 0.005, 0.025
_LOCK = Statement("SELECT pg_advisory_xact_lock(%s)", [0x7461736B])  # "task"

_UNNUMBERED = "SELECT number, org_id FROM events_event WHERE sequence IS NULL ORDER BY number LIMIT %s"
_NUMBER = "UPDATE events_event SET sequence = %s WHERE number = %s"
_MOVE_CURSOR = """
    INSERT INTO events_eventcursor (org_id, last_sequence) VALUES (%s, %s)
    ON CONFLICT (org_id) DO UPDATE SET last_sequence = events_eventcursor.last_sequence + excluded.last_sequence
    RETURNING last_sequence
"""
# The same in one statement, which PostgreSQL can.
_NUMBER_ALL = """
    WITH unnumbered AS (SELECT number, org_id FROM events_event WHERE sequence IS NULL ORDER BY number LIMIT %s),
    batch AS (SELECT number, org_id, row_number() OVER (PARTITION BY org_id ORDER BY number) AS place FROM unnumbered),
    counted AS (SELECT org_id, count(*) AS count FROM unnumbered GROUP BY org_id),
    moved AS (
        INSERT INTO events_eventcursor (org_id, last_sequence) SELECT org_id, count FROM counted
        ON CONFLICT (org_id) DO UPDATE SET last_sequence = events_eventcursor.last_sequence + excluded.last_sequence
        RETURNING org_id, last_sequence
    ),
    numbered AS (
        UPDATE events_event SET sequence = moved.last_sequence - counted.count + batch.place
        FROM batch JOIN counted USING (org_id) JOIN moved USING (org_id) WHERE events_event.number = batch.number
    )
    SELECT org_id, count, last_sequence FROM counted JOIN moved USING (org_id)
"""
_ALL_PLAN = Plan(_NUMBER_ALL, [False])

KEY = "events"
# Repeated by every process in which somebody follows a log: a signal that nobody hears is not free.
WANTED_KEY, WANTED_EVERY, WANTED_SECONDS = "events-wanted", 5.0, 15.0

_pending = threading.Event()
_wanted = {"until": 0.0}


def wake() -> None:
    """Say that there may be committed events without a number."""
    _pending.set()


def number_batch() -> Counter[str]:
    """Number one batch of events. Returns how many of which organization."""
    found = _number_all() if connection.vendor == "postgresql" else _number_one_by_one()
    newest = {org_id: last for org_id, _, last in found}
    if newest:
        transaction.on_commit(partial(_announce, newest))
    return Counter({org_id: count for org_id, count, _ in found})


def _number_all() -> list[tuple[str, int, int]]:
    # The lock by a statement of its own: what it waited for must be seen by the next.
    cursor = run_alone([_LOCK, Statement(_NUMBER_ALL, [BATCH], _ALL_PLAN)])
    cursor.nextset()
    found: list[tuple[str, int, int]] = cursor.fetchall()
    return found


def _number_one_by_one() -> list[tuple[str, int, int]]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_UNNUMBERED, [BATCH])
        rows: list[tuple[int, str]] = cursor.fetchall()
        counts = Counter(org_id for _, org_id in rows)
        newest: dict[str, int] = {}
        for org_id, count in counts.items():
            cursor.execute(_MOVE_CURSOR, [org_id, count])
            newest[org_id] = cursor.fetchone()[0]
        last = {org_id: newest[org_id] - count for org_id, count in counts.items()}
        cursor.executemany(_NUMBER, list(_numbered(rows, last)))
    return [(org_id, count, newest[org_id]) for org_id, count in counts.items()]


def _announce(newest: dict[str, int]) -> None:
    """Tell the processes that somebody follows a log in."""
    if _is_followed():
        hub.send(KEY, newest)


def _is_followed() -> bool:
    return time.monotonic() < _wanted["until"]


def _somebody_listens(_key: str, _data: object) -> None:
    _wanted["until"] = time.monotonic() + WANTED_SECONDS


def _numbered(rows: list[tuple[int, str]], last: dict[str, int]) -> Iterator[tuple[int, int]]:
    for number, org_id in rows:
        last[org_id] += 1
        yield last[org_id], number


def drain() -> None:
    """Number everything that is committed by now."""
    while sum(number_batch().values()) == BATCH:
        pass


def pause(since_drained: float) -> float:
    """How long to gather events when the last batch was so many seconds ago, in seconds."""
    return max(0.0, GATHER_SECONDS - since_drained) if _is_followed() else UNFOLLOWED_SECONDS


class Relay:
    """A thread that drains whenever it is woken, and once a second anyway. One a process."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._ending = False

    def start_once(self) -> None:
        """Start, unless it runs."""
        if self._thread is None:
            self._ending = False
            hub.listen_prefix(WANTED_KEY, _somebody_listens)
            _somebody_listens(WANTED_KEY, None)  # for all that is known before the first signal could come
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
        drained_at = 0.0
        while not self._ending:
            woken = _pending.wait(SWEEP_SECONDS)
            if woken:
                time.sleep(pause(time.monotonic() - drained_at))
            _pending.clear()
            try:
                # Nobody called: a look without a transaction costs the writers nothing.
                if woken or Event.objects.filter(sequence=None).exists():
                    drain()
            except Exception as error:
                logger.warning("relay interrupted: %s", type(error).__name__)
            finally:
                keep_healthy()
            drained_at = time.monotonic()


relay = Relay()
