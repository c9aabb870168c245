"""Django's SQLite backend, with one fair queue for the writers of a process.

SQLite lets a waiting writer sleep and try again, so under load some wait for seconds while others pass them by. Here
they take turns in the order in which they came, and SQLite is hardly ever busy. Every write goes through a cursor, so
that is where the turn is taken: by `BEGIN IMMEDIATE` as by a single statement outside of a transaction. It is given
back when nothing is uncommitted any more, which is before Django runs the `on_commit` callbacks. Readers need no turn.
"""

import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any

from django.db.backends.sqlite3 import base

from .turns import Turn, lock_of

_WRITES = re.compile(
    r"\s*(?:insert|update|delete|replace|create|drop|alter|reindex|analyze|vacuum|begin\s+(?:immediate|exclusive))\b",
    re.IGNORECASE,
)

_connecting = threading.Lock()


class Cursor(base.SQLiteCursorWrapper):
    """A cursor that waits for its connection's turn before it writes."""

    def __init__(self, turn: Turn, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._turn = turn
        self._returned: Iterator[Any] | None = None

    def execute(self, query: str, params: Any = None) -> "Cursor":
        """Run a statement."""
        self._begin(query)
        try:
            super().execute(query, params)
            self._finish()
        finally:
            self._turn.settle(self.connection)
        return self

    def executemany(self, query: str, param_list: Iterable[Any]) -> "Cursor":
        """Run a statement once for each of the parameters."""
        self._begin(query)
        try:
            super().executemany(query, param_list)
        finally:
            self._turn.settle(self.connection)
        return self

    def _begin(self, query: str) -> None:
        self._returned = None
        if not self._turn.held and _WRITES.match(query):
            self._turn.take()

    def _finish(self) -> None:
        # Outside of a transaction SQLite commits a RETURNING only once its last row is read.
        if self._turn.held and self.description and not self.connection.in_transaction:
            self._returned = iter(super().fetchall())

    def fetchone(self) -> Any:
        """The next row, or None."""
        return super().fetchone() if self._returned is None else next(self._returned, None)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """The next rows."""
        wanted = self.arraysize if size is None else size
        return super().fetchmany(wanted) if self._returned is None else list(islice(self._returned, wanted))

    def fetchall(self) -> list[Any]:
        """The rows that are left."""
        return super().fetchall() if self._returned is None else list(self._returned)

    def __next__(self) -> Any:
        return super().__next__() if self._returned is None else next(self._returned)


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection whose writes take turns with those of the process's other connections."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> sqlite3.Connection:
        """Connect, and find the queue of the database's writers."""
        # The first to connect switches the file to WAL, and SQLite refuses whoever comes meanwhile without waiting.
        with _connecting:
            connection: sqlite3.Connection = super().get_new_connection(conn_params)
        self._turn = Turn(lock_of(connection, str(self.settings_dict["NAME"])))
        return connection

    def create_cursor(self, name: str | None = None) -> Cursor:
        """A cursor that takes turns."""
        cursor: Cursor = self.connection.cursor(factory=partial(Cursor, self._turn))
        return cursor

    def _commit(self) -> None:
        try:
            super()._commit()  # type: ignore[misc]
        finally:
            self._settle()

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]
        finally:
            self._settle()

    def _settle(self) -> None:
        if self.connection is not None:
            self._turn.settle(self.connection)

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]
        finally:
            if self.connection is not None:
                self._turn.give()
