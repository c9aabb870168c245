"""Django's SQLite backend, with one fair queue for the writers of a process.

SQLite lets a waiting writer sleep and try again, so under load some wait for seconds while others pass them by. Here
write transactions (BEGIN IMMEDIATE) take turns in the order in which they came, and SQLite is hardly ever busy.
"""

import threading
from collections import defaultdict, deque
from typing import Any

from django.db.backends.sqlite3 import base
from django.db.utils import OperationalError

WAIT_SECONDS = 30.0


class TurnLock:
    """A lock whose waiters get it first come, first served."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._taken = False

    def acquire(self, timeout: float) -> bool:
        """Wait for the turn; False where it did not come in time."""
        with self._guard:
            if not self._taken:
                self._taken = True
                return True
            turn = threading.Event()
            self._waiting.append(turn)
        if turn.wait(timeout):
            return True
        with self._guard:
            if turn.is_set():  # It came at the last moment.
                return True
            self._waiting.remove(turn)
            return False

    def release(self) -> None:
        """Hand it to whoever has waited longest."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False


_locks: defaultdict[str, TurnLock] = defaultdict(TurnLock)
_locks_guard = threading.Lock()


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection that takes its turn before it writes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._has_turn = False

    def _start_transaction_under_autocommit(self) -> None:
        with _locks_guard:
            self._turns = _locks[str(self.settings_dict["NAME"])]
        if not self._turns.acquire(WAIT_SECONDS):
            raise OperationalError("the database's writers are queueing for too long")
        self._has_turn = True
        try:
            super()._start_transaction_under_autocommit()
        except BaseException:
            self._give_turn()
            raise

    def _give_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self._turns.release()

    def _commit(self) -> None:
        super()._commit()
        # A commit that failed is followed by a rollback, which ends the turn.
        self._give_turn()

    def _rollback(self) -> None:
        try:
            super()._rollback()
        finally:
            self._give_turn()

    def _close(self) -> None:
        try:
            super()._close()
        finally:
            self._give_turn()
