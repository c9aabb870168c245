"""Statements that travel together: on PostgreSQL each one that travels alone costs a turn of both ends.

    with one_transaction():
        COUNT_DOWN.later(pk=…)       # is not sent yet
        insert(rows)                 # neither is this
        WAITING.all(agent=…)         # all three go at once, with the BEGIN, in this order
        CLOSE.later(pk=…)            # goes at the end of the block, with the COMMIT

The order is always the order of the calls, whatever asks; only failures are told later, by the end of the block at the
latest. Each statement sees what those before it have done, and what others have committed until then. SQLite is in this
very process and has nothing to bundle.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction

from . import plans


class WrongCount(RuntimeError):
    """A statement that must change so many rows has changed others: what was known of the row was wrong."""


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with its parameters and its plan, and how many rows it must change: `otherwise` is raised."""

    sql: str
    parameters: Sequence[Any] = ()
    plan: plans.Plan | None = None
    rows: int | None = None
    otherwise: type[Exception] = WrongCount

    def text(self, cursor: Any, *, planned: bool) -> str:
        """What is sent."""
        if planned and self.plan is not None:
            return self.plan.execution(cursor, self.parameters)
        return str(cursor.mogrify(self.sql, self.parameters))

    def check(self, count: int) -> None:
        """Raises `otherwise` for another number."""
        if self.rows is not None and count != self.rows:
            raise self.otherwise(f"{count} rows and not {self.rows}: {self.sql[:80]}")


BEGIN, COMMIT = Statement("BEGIN"), Statement("COMMIT")
# A plan is kept for longer than a table is small: every one of them goes by an index. What has none is no reason to
# compile anything.
BY_INDEX, NO_JIT = Statement("SET LOCAL enable_seqscan TO OFF"), Statement("SET LOCAL jit TO OFF")


class _Bundle(threading.local):
    waiting: list[Statement] | None = None
    # Whether plans may be used: only where they are made with the settings of `BY_INDEX`.
    planned = False


_bundle = _Bundle()


def travels_in_bundles() -> bool:
    """Whether the database is far enough away for it to matter."""
    return connection.vendor == "postgresql"


def gathers() -> bool:
    """Whether statements are gathered here and now."""
    return _bundle.waiting is not None


@contextmanager
def bundled() -> Iterator[None]:
    """Keep what is run `later` until something is asked, or until the end of the block. In a transaction."""
    if gathers() or not travels_in_bundles():
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
        with _raw() as raw:
            # psycopg would send a BEGIN of its own, and leaves alone whoever has begun.
            raw.autocommit = True
        with _gathering([BEGIN, BY_INDEX, NO_JIT], planned=plans.kept()):
            yield
            _commit()


@contextmanager
def _gathering(first: list[Statement], *, planned: bool = False) -> Iterator[None]:
    _bundle.waiting, _bundle.planned = first, planned
    try:
        with connection.execute_wrapper(_after_what_waits):
            yield
    finally:
        _bundle.waiting, _bundle.planned = None, False


def _commit() -> None:
    waiting = _bundle.waiting or []
    if any(statement.rows is not None for statement in waiting):
        # What they have changed is known only afterwards, and then it must not be too late.
        send()
    if waiting != [BEGIN, BY_INDEX, NO_JIT]:
        run([COMMIT])


def run_later(statement: Statement) -> None:
    """Run a statement in its turn, at once where nothing is gathered. Raises what it says for a wrong count."""
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


def run_alone(statements: Sequence[Statement]) -> Any:
    """Send these in one message, which is a transaction of its own unless there is one; a cursor at the first result.

    Their plans are kept as in `one_transaction` (PostgreSQL).
    """
    if connection.in_atomic_block:
        return run(statements)
    first = [BY_INDEX, NO_JIT]
    with _raw() as raw, plans.minding_poolers():
        cursor = raw.cursor()
        cursor.execute(_text(raw, cursor, [*first, *statements], planned=plans.kept()))
    _pass_over(first, cursor)
    return cursor


def run(statements: Sequence[Statement]) -> Any:
    """Send what waits and then these; returns a cursor at the result of the first of them (PostgreSQL)."""
    waiting = _no_longer_waiting()
    with _raw() as raw, plans.minding_poolers():
        cursor = raw.cursor()
        cursor.execute(_text(raw, cursor, [*waiting, *statements], planned=_bundle.planned))
    _pass_over(waiting, cursor)
    return cursor


@contextmanager
def _raw() -> Iterator[Any]:
    """The driver's connection. Whatever it says is told as Django tells it, who then knows that it may be spoiled."""
    here = connections[DEFAULT_DB_ALIAS]
    with here.wrap_database_errors:
        here.close_if_health_check_failed()
        here.ensure_connection()
        yield here.connection


def _text(raw: Any, cursor: Any, statements: list[Statement], *, planned: bool) -> str:
    if planned:
        plans.prepare(raw, cursor, [(each.plan, each.parameters) for each in statements if each.plan])
    return "; ".join(each.text(cursor, planned=planned) for each in statements)


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
    with _raw() as raw, plans.minding_poolers():
        cursor = raw.cursor()
        before = _text(raw, cursor, waiting, planned=_bundle.planned)
        result = execute(f"{before}; {cursor.mogrify(sql, parameters)}", None, many, context)
    _pass_over(waiting, context["cursor"].cursor)
    return result
