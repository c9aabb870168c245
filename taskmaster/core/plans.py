"""Statements whose plan PostgreSQL keeps: to plan one takes several times as long as to run it.

A connection prepares such a statement at its first use and then executes it by its name. What is always the same stands
in its text, so that partial indexes can be used by a plan that is made for any value.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

from psycopg import errors

logger = logging.getLogger(__name__)

_numbers = count()
_PLACE = re.compile("%[s%]")
# What is said behind a pooler that gives each transaction another connection.
_STRANGERS = (errors.InvalidSqlStatementName, errors.DuplicatePreparedStatement)
_state = {"kept": True}


class Plan:
    """The plan of a statement with `%s`; `slots` says which of its parameters differ from one run to the next."""

    def __init__(self, sql: str, slots: Sequence[bool]) -> None:
        self.name = f"taskmaster_{next(_numbers)}"
        self._sql, self._slots = sql, slots
        places = ", ".join(["%s"] * sum(slots))
        self._execute = f"EXECUTE {self.name}({places})" if places else f"EXECUTE {self.name}"

    def execution(self, cursor: Any, parameters: Sequence[Any]) -> str:
        """The text that executes it."""
        given = [value for value, differs in zip(parameters, self._slots, strict=True) if differs]
        return str(cursor.mogrify(self._execute, given))

    def preparation(self, cursor: Any, parameters: Sequence[Any]) -> str:
        """The text that prepares it; of the parameters only those matter that are always the same."""
        number, left = count(1), iter(zip(parameters, self._slots, strict=True))

        def fill(place: re.Match[str]) -> str:
            if place[0] == "%%":
                return "%"
            value, differs = next(left)
            return f"${next(number)}" if differs else str(cursor.mogrify("%s", [value]))

        return f"PREPARE {self.name} AS {_PLACE.sub(fill, self._sql)}"


def kept() -> bool:
    """Whether connections keep what was prepared in them."""
    return _state["kept"]


@contextmanager
def minding_poolers() -> Iterator[None]:
    """Plan everything each time from the first failure on that says that a pooler stands before PostgreSQL."""
    try:
        yield
    except Exception as error:
        if isinstance(error, _STRANGERS) or isinstance(error.__cause__, _STRANGERS):
            logger.warning("prepared statements are lost between transactions: planning everything each time")
            _state["kept"] = False
        raise


def prepare(raw: Any, cursor: Any, wanted: Iterable[tuple[Plan, Sequence[Any]]]) -> None:
    """Have this connection know these plans."""
    known: set[str] = vars(raw).setdefault("taskmaster_plans", set())
    missing = {plan.name: plan.preparation(cursor, given) for plan, given in wanted if plan.name not in known}
    if missing:
        cursor.execute("; ".join(missing.values()))
        known.update(missing)
