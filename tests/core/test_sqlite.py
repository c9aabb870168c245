"""The writers of one SQLite file: first come, first served; none is lost, none is refused, and none keeps its turn."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connections, transaction

from taskmaster.core.sqlite import turns
from taskmaster.core.sqlite.turns import TurnLock

from .databases import database

FAIR = "fair"

pytestmark = pytest.mark.usefixtures("own_databases")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fair.sqlite3"


@pytest.fixture
def mine(path: Path) -> Iterator[Any]:
    """This thread's connection to a file with one table."""
    with database(path, FAIR) as connection:
        write(connection, "CREATE TABLE line (number integer PRIMARY KEY AUTOINCREMENT, text text UNIQUE)")
        yield connection


def write(connection: Any, sql: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def insert(connection: Any, text: str) -> None:
    write(connection, "INSERT INTO line (text) VALUES (%s)", text)


def lines(connection: Any) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT text FROM line ORDER BY number")
        return [text for (text,) in cursor.fetchall()]


class Racer(threading.Thread):
    """A thread with a connection of its own; `result` raises what went wrong in it."""

    def __init__(self, run: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._run, self._found, self._error = run, None, None
        self.start()

    def run(self) -> None:
        try:
            self._found = self._run()
        except BaseException as error:
            self._error = error
        finally:
            connections[FAIR].close()

    def result(self, seconds: float = 20) -> Any:
        self.join(seconds)
        assert not self.is_alive(), "it hangs"
        if self._error:
            raise self._error
        return self._found


def elsewhere(run: Callable[[], Any], seconds: float = 5) -> Any:
    return Racer(run).result(seconds)


def assert_free(name: str = "another") -> None:
    """Another thread can write at once."""
    begun = time.monotonic()
    elsewhere(lambda: insert(connections[FAIR], name))
    assert time.monotonic() - begun < 2


def until(look: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 5
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def lock_of(connection: Any) -> TurnLock:
    return turns.lock_of(connection.connection, str(connection.settings_dict["NAME"]))


@pytest.mark.parametrize("inside", [True, False], ids=["transactions", "single writes"])
def test_sixteen_threads_lose_nothing_and_are_never_refused(mine: Any, inside: bool) -> None:
    def work(name: int) -> None:
        for number in range(100):
            if inside:
                with transaction.atomic(FAIR):
                    insert(connections[FAIR], f"{name}-{number}")
            else:
                insert(connections[FAIR], f"{name}-{number}")

    racers = [Racer(lambda name=name: work(name)) for name in range(16)]
    for racer in racers:
        racer.result()
    assert sorted(lines(mine)) == sorted(f"{name}-{number}" for name in range(16) for number in range(100))


def test_writers_come_in_the_order_in_which_they_asked(mine: Any) -> None:
    lock = lock_of(mine)

    def join(name: str) -> None:
        if name.startswith("single"):
            insert(connections[FAIR], name)
        else:
            with transaction.atomic(FAIR):
                insert(connections[FAIR], name)

    names = ["transaction 0", "single 1", "transaction 2", "single 3", "transaction 4", "single 5"]
    racers = []
    with transaction.atomic(FAIR):
        insert(mine, "first")
        for place, name in enumerate(names, 1):
            racers.append(Racer(lambda name=name: join(name)))
            until(lambda place=place: len(lock._waiting) == place)
    for racer in racers:
        racer.result()
    assert lines(mine) == ["first", *names]


def test_whoever_asks_again_at_once_goes_to_the_end(mine: Any) -> None:
    lock = lock_of(mine)
    with transaction.atomic(FAIR):
        racer = Racer(lambda: insert(connections[FAIR], "waited"))
        until(lambda: len(lock._waiting) == 1)
    insert(mine, "came again")
    racer.result()
    assert lines(mine) == ["waited", "came again"]


def test_readers_and_their_threads_need_no_turn(mine: Any) -> None:
    insert(mine, "before")
    with transaction.atomic(FAIR):
        insert(mine, "during")
        assert elsewhere(lambda: lines(connections[FAIR])) == ["before"]
    assert elsewhere(lambda: lines(connections[FAIR])) == ["before", "during"]


def test_the_turn_ends_with_the_commit(mine: Any) -> None:
    with transaction.atomic(FAIR):
        insert(mine, "one")
    assert_free()
    assert lines(mine) == ["one", "another"]


def test_the_turn_ends_with_a_rollback(mine: Any) -> None:
    with transaction.atomic(FAIR):
        insert(mine, "one")
        transaction.set_rollback(True, FAIR)
    assert_free()
    assert lines(mine) == ["another"]


def test_the_turn_ends_with_a_refused_row(mine: Any) -> None:
    insert(mine, "one")
    with pytest.raises(IntegrityError):
        insert(mine, "one")
    assert_free("two")
    with pytest.raises(IntegrityError), transaction.atomic(FAIR):
        insert(mine, "one")
    assert_free("three")
    assert lines(mine) == ["one", "two", "three"]


def test_the_turn_ends_with_an_exception(mine: Any) -> None:
    def fail() -> None:
        with transaction.atomic(FAIR):
            insert(mine, "one")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert_free()
    assert lines(mine) == ["another"]


def test_the_turn_ends_where_the_connection_is_closed_inside_a_transaction(mine: Any) -> None:
    with transaction.atomic(FAIR):
        insert(mine, "one")
        mine.close()
        assert_free()
    assert lines(mine) == ["another"]


def test_the_turn_ends_with_a_commit_that_fails(mine: Any) -> None:
    write(mine, "CREATE TABLE child (line integer REFERENCES line (number) DEFERRABLE INITIALLY DEFERRED)")

    def orphan() -> None:
        with transaction.atomic(FAIR):
            insert(mine, "one")
            write(mine, "INSERT INTO child VALUES (99)")

    with pytest.raises(IntegrityError):
        orphan()
    assert_free()
    assert lines(mine) == ["another"]


def test_the_turn_ends_with_a_begin_that_fails(mine: Any, path: Path) -> None:
    """Another process writes for longer than SQLite waits."""
    with mine.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 50")
    with OtherProcess(path, seconds=0.5):
        with pytest.raises(OperationalError, match="locked"), transaction.atomic(FAIR):
            pass
        begun = time.monotonic()
        elsewhere(lambda: insert(connections[FAIR], "another"))
    assert time.monotonic() - begun < 5
    with transaction.atomic(FAIR):
        insert(mine, "one")
    assert lines(mine) == ["other process", "another", "one"]


def test_nested_transactions_hold_one_turn_until_the_outer_one_ends(mine: Any) -> None:
    lock = lock_of(mine)
    with transaction.atomic(FAIR):
        insert(mine, "outer")
        with transaction.atomic(FAIR):
            insert(mine, "inner")
        with pytest.raises(IntegrityError), transaction.atomic(FAIR):
            insert(mine, "inner")
        racer = Racer(lambda: insert(connections[FAIR], "another"))
        until(lambda: lock._waiting)
        assert racer.is_alive()
        insert(mine, "last")
    racer.result()
    assert lines(mine) == ["outer", "inner", "last", "another"]


def test_what_runs_on_commit_has_left_the_turn_already(mine: Any) -> None:
    """Otherwise a callback that waits for another thread's write would wait for itself."""
    with transaction.atomic(FAIR):
        insert(mine, "one")
        transaction.on_commit(assert_free, FAIR)
        transaction.on_commit(lambda: insert(mine, "own"), FAIR)
    assert lines(mine) == ["one", "another", "own"]


def test_a_row_that_comes_back_with_the_write_leaves_no_turn_and_no_transaction_behind(mine: Any) -> None:
    with mine.cursor() as cursor:
        cursor.execute("INSERT INTO line (text) VALUES (%s), (%s) RETURNING text", ["one", "two"])
        assert_free()
        assert cursor.fetchone() == ("one",)
        assert cursor.fetchall() == [("two",)]
        assert cursor.fetchone() is None
    assert lines(mine) == ["one", "two", "another"]


def test_single_writes_wait_neither_long_nor_in_vain_beside_busy_transactions(mine: Any) -> None:
    ending = time.monotonic() + 1.0

    def busy(name: int) -> int:
        count = 0
        while time.monotonic() < ending:
            with transaction.atomic(FAIR):
                insert(connections[FAIR], f"{name}-{count}")
            count += 1
        return count

    def single() -> list[float]:
        waits = []
        while time.monotonic() < ending:
            begun = time.monotonic()
            insert(connections[FAIR], f"single-{len(waits)}")
            waits.append(time.monotonic() - begun)
        return waits

    writer, racers = Racer(single), [Racer(lambda name=name: busy(name)) for name in range(8)]
    waits, counts = writer.result(), [racer.result() for racer in racers]
    # A fair queue of nine gives everybody about a ninth.
    everybody = [*counts, len(waits)]
    assert min(everybody) * 3 > max(everybody)
    assert max(waits) < 0.5
    assert len(lines(mine)) == sum(everybody)


OTHER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("writing", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("INSERT INTO line (text) VALUES ('other process')")
connection.execute("COMMIT")
"""


class OtherProcess:
    """Another process that writes for as long as that."""

    def __init__(self, path: Path, seconds: float) -> None:
        command = [sys.executable, "-c", OTHER, str(path), str(seconds)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)

    def __enter__(self) -> None:
        assert self._process.stdout
        assert self._process.stdout.readline() == b"writing\n"

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=10)
        assert self._process.returncode == 0


def test_another_process_that_writes_delays_but_breaks_nothing(mine: Any, path: Path) -> None:
    begun = time.monotonic()
    with OtherProcess(path, seconds=1.0):
        racers = [Racer(lambda n=n: insert(connections[FAIR], str(n))) for n in range(4)]
        with transaction.atomic(FAIR):
            insert(mine, "mine")
        waited = time.monotonic() - begun
        for racer in racers:
            racer.result()
    assert waited > 0.9
    found = lines(mine)
    assert found[0] == "other process"
    assert sorted(found[1:]) == ["0", "1", "2", "3", "mine"]


def test_waiting_for_a_turn_has_an_end(mine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "WAIT_SECONDS", 0.1)
    with transaction.atomic(FAIR), pytest.raises(DatabaseError, match="locked: no turn"):
        elsewhere(lambda: insert(connections[FAIR], "late"))
    assert_free()
    assert lines(mine) == ["another"]


def test_the_same_file_by_another_name_has_the_same_queue(mine: Any, path: Path) -> None:
    link = path.with_name("link.sqlite3")
    link.symlink_to(path)
    with database(link, "linked") as linked, database(path.with_name("other.sqlite3"), "other") as other:
        linked.ensure_connection()
        other.ensure_connection()
        assert lock_of(linked) is lock_of(mine)
        assert lock_of(other) is not lock_of(mine)


def test_a_waiter_that_is_interrupted_hands_the_turn_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the turn had come to it already."""
    lock = TurnLock()
    assert lock.acquire(1)

    class Interrupted:
        def __init__(self) -> None:
            self.released = False

        def acquire(self, timeout: float = -1) -> bool:
            if timeout == -1:
                return True
            if self.given_meanwhile:
                lock.release()
            raise KeyboardInterrupt

        def release(self) -> None:
            self.released = True

        given_meanwhile = False

    monkeypatch.setattr(turns.threading, "Lock", Interrupted)
    for given in (False, True):
        Interrupted.given_meanwhile = given
        with pytest.raises(KeyboardInterrupt):
            lock.acquire(5)
        assert not lock._waiting
    monkeypatch.undo()
    assert lock.acquire(0.5)
