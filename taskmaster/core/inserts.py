"""New rows by one statement, or a few, without signals; it travels with the others of its bundle."""

from collections.abc import Callable, Iterable
from typing import Any, cast

from django.db import DEFAULT_DB_ALIAS, connection, models

from . import bundles
from .bundles import Statement
from .fields import JsonField
from .plans import Plan
from .prepared import adapted

# SQLite takes no more values than that in one statement.
MOST_VALUES = 32_000
# So many rows of a model have a plan that is kept, for each number of them.
PLANNED_ROWS = 16

Stored = Callable[[Any], Any]
# What the drivers take as it is.
_AS_IT_IS = frozenset(
    {
        models.CharField,
        models.TextField,
        models.BooleanField,
        models.FloatField,
        models.ForeignKey,
        models.IntegerField,
        models.BigIntegerField,
        models.PositiveIntegerField,
        models.PositiveBigIntegerField,
        models.PositiveSmallIntegerField,
    }
)


class _Insert:
    """How the rows of a model are inserted."""

    def __init__(self, model: type[models.Model]) -> None:
        fields = [field for field in model._meta.concrete_fields if not isinstance(field, models.AutoField)]
        quote = connection.ops.quote_name
        columns = ", ".join(quote(str(field.column)) for field in fields)
        self._head = f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES "  # noqa: S608
        self._row = f"({', '.join(['%s'] * len(fields))})"
        self._values = [(str(field.attname), _stored(field)) for field in fields]
        self._plans: dict[int, Plan] = {}
        self.at_once = MOST_VALUES // len(fields)

    def statement(self, rows: "list[Any]") -> Statement:
        """The statement for these."""
        values = [
            getattr(row, name) if stored is None else stored(getattr(row, name))
            for row in rows
            for name, stored in self._values
        ]
        return self._statement(len(rows), values)

    def statement_of(self, rows: "list[tuple[Any, ...]]") -> Statement:
        """The statement for rows that are given as the values of their columns, in the order of the fields."""
        kinds = [stored for _, stored in self._values]
        values = [
            value if stored is None else stored(value) for row in rows for value, stored in zip(row, kinds, strict=True)
        ]
        return self._statement(len(rows), values)

    def _statement(self, count: int, values: list[Any]) -> Statement:
        sql = self._head + ", ".join([self._row] * count)
        plan = self._plans.get(count)
        if plan is None and count <= PLANNED_ROWS:
            plan = self._plans.setdefault(count, Plan(sql, [True] * len(values)))
        return Statement(sql, values, plan)


def _stored(field: Any) -> Stored | None:
    """What makes a field's value one that the driver takes; None where it is one."""
    if type(field) in _AS_IT_IS:
        return None
    if type(field) is models.DateTimeField:
        return adapted
    if type(field) is JsonField:
        return cast(Stored, field.get_prep_value)
    return lambda value: field.get_db_prep_save(value, connection)


_inserts: dict[type[models.Model], _Insert] = {}


def insert(rows: Iterable[models.Model]) -> None:
    """Insert new rows of one model by one statement, or a few; without signals, and a key that is made is not read."""
    found = list(rows)
    if not found:
        return
    how = _how(type(found[0]))
    for start in range(0, len(found), how.at_once):
        bundles.run_later(how.statement(found[start : start + how.at_once]))
    for row in found:
        row._state.adding = False
        row._state.db = DEFAULT_DB_ALIAS


def insert_values(model: type[models.Model], rows: list[tuple[Any, ...]]) -> None:
    """The same for rows without instances: the values of its fields in order, without a key that is made."""
    how = _how(model)
    for start in range(0, len(rows), how.at_once):
        bundles.run_later(how.statement_of(rows[start : start + how.at_once]))


def _how(model: type[models.Model]) -> _Insert:
    return _inserts.get(model) or _inserts.setdefault(model, _Insert(model))
