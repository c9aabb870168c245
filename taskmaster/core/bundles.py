"""Statements that travel together: on PostgreSQL each one that travels alone costs a turn of both ends.

    with bundled():
        COUNT_DOWN.later(pk=…)       # is not sent yet
        insert(rows)                 # neither is this
        WAITING.all(agent=…)         # all three go at once, in this order
        CLOSE.later(pk=…)            # goes at the end of the block

The order is always the order of the calls, whatever asks; only failures are told later, by the end of the block at the
latest. Each statement sees what those before it have done, and what others have committed until then. SQLite is in this
very process and has nothing to bundle.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction


class WrongCount(RuntimeError):
    """A statement that must change so many rows has changed others: what was known of the row was wrong."""


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with its parameters, and how many rows it must change, if that is known."""

    sql: str
    parameters: Sequence[Any]
    rows: int | None = None
    otherwise: type[Exception] = WrongCount

    def check(self, count: int) -> None:
        """Raises `otherwise` for another number."""
        if self.rows is not None and count != self.rows:
            raise self.otherwise(f"{count} rows and not {self.rows}: {self.sql[:80]}")


BEGIN, COMMIT = Statement("BEGIN", ()), Statement("COMMIT", ())


class _Bundle(threading.local):
    waiting: list[Statement] | None = None


_bundle = _Bundle()


def travels_in_bundles() -> bool:
    """Whether the database is far enough away for it to matter; off until a lost connection is survived with it."""
    return False


@contextmanager
def bundled() -> Iterator[None]:
    """Keep what is run `later` until something is asked, or until the end of the block. In a transaction."""
    if _bundle.waiting is not None or not travels_in_bundles():
        yield
        return
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("what is sent later must be sent before its commit")
    with _gathering([]):
        yield
        send()


@contextmanager
def one_transaction() -> Iterator[None]:
    """`transaction.atomic()` and `bundled()` in one: its BEGIN and its COMMIT travel with the first and last bundle."""
    if connection.in_atomic_block or not travels_in_bundles():
        with transaction.atomic(), bundled():
            yield
        return
    with transaction.atomic():
        # psycopg would send a BEGIN of its own, and leaves alone whoever has begun.
        connection.connection.autocommit = True
        with _gathering([BEGIN]):
            yield
            _commit()


def _commit() -> None:
    waiting = _bundle.waiting or []
    if any(statement.rows is not None for statement in waiting):
        # What they have changed is known only afterwards, and then it must not be too late.
        send()
    if waiting != [BEGIN]:
        run([COMMIT])


@contextmanager
def _gathering(first: list[Statement]) -> Iterator[None]:
    _bundle.waiting = first
    try:
        with connection.execute_wrapper(_after_what_waits):
            yield
    finally:
        _bundle.waiting = None


def run_later(statement: Statement) -> None:
    """Run a statement in its turn, at once where nothing is bundled. Raises what it says for a wrong count."""
    if _bundle.waiting is not None:
        _bundle.waiting.append(statement)
        return
    with connection.cursor() as cursor:
        cursor.execute(statement.sql, statement.parameters)
        statement.check(cursor.rowcount)


def send() -> None:
    """Send what waits."""
    if _bundle.waiting:
        run([])


def run(statements: Sequence[Statement]) -> Any:
    """Send what waits and then these; returns a cursor at the result of the first of them (PostgreSQL)."""
    waiting = _no_longer_waiting()
    connection.ensure_connection()
    cursor: Any = connection.connection.cursor()
    with connection.wrap_database_errors:
        cursor.execute("; ".join(cursor.mogrify(each.sql, each.parameters) for each in (*waiting, *statements)))
    _pass_over(waiting, cursor)
    return cursor


def _no_longer_waiting() -> list[Statement]:
    waiting = _bundle.waiting or []
    if waiting:
        _bundle.waiting = []
    return waiting


def _pass_over(waiting: list[Statement], cursor: Any) -> None:
    for statement in waiting:
        statement.check(cursor.rowcount)
        cursor.nextset()


def _after_what_waits(execute: Any, sql: str, parameters: Any, many: bool, context: dict[str, Any]) -> Any:
    """Whatever else is executed inside, by the ORM too, comes after what waits."""
    if many or getattr(context["cursor"], "name", None):
        send()
    waiting = _no_longer_waiting()
    if not waiting:
        return execute(sql, parameters, many, context)
    raw = connection.connection.cursor()
    before = "; ".join(raw.mogrify(each.sql, each.parameters) for each in waiting)
    result = execute(f"{before}; {raw.mogrify(sql, parameters)}", None, many, context)
    _pass_over(waiting, context["cursor"].cursor)
    return result
