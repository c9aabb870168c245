"""A fair lock for a database's writers, and a connection's place in its queue."""

import os
import sqlite3
import threading
from collections import deque

WAIT_SECONDS = 30.0


class TurnLock:
    """A lock whose waiters get it first come, first served: it is handed over, never put down for whoever is quick."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._taken = False

    def acquire(self, timeout: float) -> bool:
        """Wait for the turn; False where it did not come in time."""
        with self._guard:
            if not self._taken:
                self._taken = True
                return True
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        try:
            came = turn.acquire(timeout=timeout)
        except BaseException:
            # An interrupted waiter must not be handed what it will never give back.
            if not self._leave(turn):
                self.release()
            raise
        return came or not self._leave(turn)

    def release(self) -> None:
        """Hand it to whoever has waited longest."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False

    def _leave(self, turn: threading.Lock) -> bool:
        """Stop waiting; False where the turn came at the last moment."""
        with self._guard:
            if turn not in self._waiting:
                return False
            self._waiting.remove(turn)
            return True


class Turn:
    """One connection's turn to write: held from a write until nothing of the connection is uncommitted."""

    def __init__(self, lock: TurnLock) -> None:
        self._lock = lock
        self.held = False

    def take(self) -> None:
        """Wait for it, unless it is held already. Raises sqlite3.OperationalError after WAIT_SECONDS."""
        if self.held:
            return
        if not self._lock.acquire(WAIT_SECONDS):
            raise sqlite3.OperationalError(f"database is locked: no turn to write came in {WAIT_SECONDS:g} seconds")
        self.held = True

    def give(self) -> None:
        """Let the next one write."""
        if self.held:
            self.held = False
            self._lock.release()

    def settle(self, connection: sqlite3.Connection) -> None:
        """Give it unless a transaction is still open: a COMMIT that failed leaves one."""
        if self.held and not connection.in_transaction:
            self.give()


_locks: dict[str, TurnLock] = {}
# A child has none of the threads that hold or await its parent's turns.
os.register_at_fork(after_in_child=_locks.clear)


def lock_of(connection: sqlite3.Connection, name: str) -> TurnLock:
    """The process's one lock for the database behind a connection, by whatever name its file was opened."""
    path = connection.execute("PRAGMA database_list").fetchone()[2]
    if not path and "cache=shared" not in name:
        return TurnLock()  # In memory, and this connection's alone.
    return _locks.setdefault(path or name, TurnLock())
