"""Queries that are compiled once: the ORM spends ten times as long on building one as the database on running it.

    by_digest = Select(lambda: ApiToken.objects.select_related("org").filter(digest=Slot("digest")))
    token = by_digest.first(digest=…)

What the ORM makes of the queryset is kept, as SQL with slots for the values; rows become instances with the model's own
converters, so that a prepared query gives exactly what the queryset would.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, models
from django.db.models import Expression, QuerySet
from django.db.models.query import get_related_populators
from django.db.models.sql import UpdateQuery

from . import bundles
from .bundles import Statement, WrongCount
from .plans import Plan

M = TypeVar("M", bound=models.Model)


class Slot(Expression):
    """The place of a value that is given at each run."""

    def __init__(self, name: str, output_field: "models.Field[Any, Any] | None" = None) -> None:
        super().__init__(output_field=output_field or models.TextField())
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        """A placeholder, and this slot as what to fill it with."""
        return "%s", [self]


_compiling = threading.RLock()


class _Prepared:
    """SQL and its parameters, made at the first use: before that the database is not known."""

    def __init__(self) -> None:
        self._sql = ""
        self._parameters: tuple[Any, ...] = ()
        self._plan: Plan | None = None

    def _compile(self) -> tuple[str, tuple[Any, ...]]:
        raise NotImplementedError

    def _prepare(self) -> None:
        with _compiling:
            if not self._sql:
                # The SQL last: whoever sees it finds all the rest.
                sql, self._parameters = self._compile()
                self._plan = Plan(sql, [isinstance(p, Slot) for p in self._parameters])
                self._sql = sql

    @contextmanager
    def _ran(self, values: dict[str, Any]) -> Iterator[Any]:
        """A cursor that has run it."""
        statement = self._statement(values)
        if bundles.gathers():
            yield bundles.run([statement])
            return
        if bundles.travels_in_bundles() and not connection.in_atomic_block:
            yield bundles.run_alone([statement])
            return
        with connection.cursor() as cursor:
            cursor.execute(statement.sql, statement.parameters)
            yield cursor

    def _statement(self, values: dict[str, Any], *expected: Any) -> Statement:
        if not self._sql:
            self._prepare()
        filled = [adapted(values[p.name]) if isinstance(p, Slot) else p for p in self._parameters]
        return Statement(self._sql, filled, self._plan, *expected)

    def _read(self, cursor: Any) -> list[Any]:
        """What a cursor that has run it holds."""
        raise NotImplementedError


def adapted(value: Any) -> Any:
    """A value as the driver takes it."""
    if isinstance(value, datetime) and not bundles.travels_in_bundles():
        return connection.ops.adapt_datetimefield_value(value)
    return value


class Select(_Prepared, Generic[M]):
    """A compiled SELECT of a model's rows, with what `select_related` brings along."""

    def __init__(self, build: "Callable[[], QuerySet[M]]") -> None:
        super().__init__()
        self._build = build

    def all(self, **values: Any) -> list[M]:
        """The rows."""
        with self._ran(values) as cursor:
            return self._read(cursor)

    def _read(self, cursor: Any) -> list[M]:
        rows = cursor.fetchall()
        if self._converters and rows:
            rows = self._compiler.apply_converters(rows, self._converters)
        return [self._instance(row) for row in rows]

    def first(self, **values: Any) -> M | None:
        """The first row, or None."""
        found = self.all(**values)
        return found[0] if found else None

    def _compile(self) -> tuple[str, tuple[Any, ...]]:
        query = self._build().query
        self._compiler: Any = query.get_compiler(connection=connection)
        sql, parameters = self._compiler.as_sql()
        columns, self._class, _ = self._compiler.select, self._compiler.klass_info, None
        self._converters = self._compiler.get_converters([column[0] for column in columns])
        chosen = self._class["select_fields"]
        self._start, self._end = chosen[0], chosen[-1] + 1
        self._names = [columns[at][0].target.attname for at in chosen]
        self._related = get_related_populators(self._class, columns, connection.alias)  # type: ignore[call-arg]
        return sql, parameters

    def _instance(self, row: Any) -> M:
        found: M = self._class["model"].from_db(DEFAULT_DB_ALIAS, self._names, row[self._start : self._end])
        for populator in self._related:
            populator.populate(row, found)
        return found


class Columns(_Prepared):
    """A compiled query for some columns (a queryset with `values_list`), given as tuples.

    What a queryset with `select_for_update(no_key=True)` locks, several may hold at once if it is `shared`.
    """

    def __init__(self, build: "Callable[[], QuerySet[Any, Any]]", *, shared: bool = False) -> None:
        super().__init__()
        self._build, self._shared = build, shared

    def all(self, **values: Any) -> list[tuple[Any, ...]]:
        """The rows, as the driver gives them: JSON is text, and on SQLite a time is text too."""
        with self._ran(values) as cursor:
            return self._read(cursor)

    def _read(self, cursor: Any) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows

    def each(self, **values: Any) -> Iterator[tuple[Any, ...]]:
        """The same, one by one: on SQLite, what nobody asks for any more is not even looked at."""
        with self._ran(values) as cursor:
            yield from iter(cursor.fetchone, None)

    def value(self, default: Any = None, **values: Any) -> Any:
        """The first column of the first row, or the default."""
        rows = self.all(**values)
        return rows[0][0] if rows else default

    def _compile(self) -> tuple[str, tuple[Any, ...]]:
        sql, parameters = self._build().query.get_compiler(connection=connection).as_sql()
        return sql.replace("FOR NO KEY UPDATE", "FOR SHARE") if self._shared else sql, parameters


class Update(_Prepared):
    """A compiled UPDATE of the rows of a queryset."""

    def __init__(
        self, build: "Callable[[], QuerySet[Any]]", *, returning: tuple[str, ...] = (), **changes: Any
    ) -> None:
        super().__init__()
        self._build, self._changes, self._returning = build, changes, returning

    def __call__(self, **values: Any) -> int:
        """Run it; returns how many rows there were."""
        with self._ran(values) as cursor:
            return int(cursor.rowcount)

    def all(self, **values: Any) -> int:
        """What `ask` tells of it."""
        return self(**values)

    def _read(self, cursor: Any) -> int:  # type: ignore[override]
        return int(cursor.rowcount)

    def later(self, *, rows: int | None = None, otherwise: type[Exception] = WrongCount, **values: Any) -> None:
        """Run it in its turn (see bundles). Raises `otherwise` where it must change so many rows and does not."""
        bundles.run_later(self._statement(values, rows, otherwise))

    def one(self, **values: Any) -> tuple[Any, ...] | None:
        """Run it; returns the `returning` columns of the one row as they are now, or None where there was none."""
        with self._ran(values) as cursor:
            row: tuple[Any, ...] | None = cursor.fetchone()
            return row

    def _compile(self) -> tuple[str, tuple[Any, ...]]:
        query: Any = self._build().query.chain(UpdateQuery)
        query.add_update_values(self._changes)
        query.annotations = {}
        sql, parameters = query.get_compiler(connection=connection).as_sql()
        if self._returning:
            sql += " RETURNING " + ", ".join(connection.ops.quote_name(column) for column in self._returning)
        return sql, parameters


Asked = tuple["Select[Any] | Columns | Update", dict[str, Any]]


def ask(*asked: Asked) -> list[Any]:
    """The rows of several queries that travel together, in their order; each sees what those before it have done.

    Of an Update the number of the rows that it has changed.
    """
    if not bundles.travels_in_bundles():
        return [query.all(**values) for query, values in asked]
    cursor = bundles.run([query._statement(values) for query, values in asked])
    found = []
    for query, _ in asked:
        found.append(query._read(cursor))
        cursor.nextset()
    return found
