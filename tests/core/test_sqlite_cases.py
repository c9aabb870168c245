"""The fair SQLite engine under Django's own test cases, and where a file is opened for the first time."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.db import connections

from .databases import Row, create_table, database

# A process of its own, since the test database is the whole process's.
CASES = """
import sys, threading, unittest
import django
from django.conf import settings
from django.test.utils import setup_databases, teardown_databases

engine = {"ENGINE": "taskmaster.core.sqlite", "NAME": sys.argv[1], "TEST": {"NAME": sys.argv[2]}}
engine["OPTIONS"] = {"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"}
settings.configure(SECRET_KEY="k", USE_TZ=True, BROKER_URL="", EMBEDDED=True, DATABASES={"default": engine})
django.setup()
from django.db import connection, connections, transaction
from django.test import TestCase, TransactionTestCase
from taskmaster.core.sqlite import turns
from tests.core.databases import Row

turns.WAIT_SECONDS = 5

def in_threads(run, count):
    found = []
    def work(number):
        try:
            found.append(run(number))
        except Exception as error:
            found.append(error)
        finally:
            connections["default"].close()
    threads = [threading.Thread(target=work, args=[number]) for number in range(count)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return found

class Inside(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.row = Row.objects.create(text="for all tests")

    def test_one(self):
        Row.objects.create(text="mine")
        with transaction.atomic():
            Row.objects.create(text="nested")
        with self.captureOnCommitCallbacks(execute=True) as callbacks:
            transaction.on_commit(lambda: Row.objects.create(text="committed"))
        assert len(callbacks) == 1
        assert Row.objects.count() == 4

    def test_two(self):
        assert [row.text for row in Row.objects.all()] == ["for all tests"]

class Outside(TransactionTestCase):
    available_apps = []

    def test_threads_write(self):
        def write(number):
            with transaction.atomic():
                Row.objects.create(text=f"atomic {number}")
            return Row.objects.create(text=f"single {number}").pk
        found = in_threads(write, 8)
        assert all(isinstance(one, int) for one in found), found
        assert Row.objects.count() == 16
        Row.objects.all().delete()

    def test_threads_read_while_another_writes(self):
        Row.objects.create(text="before")
        with transaction.atomic():
            Row.objects.create(text="during")
            assert in_threads(lambda _: Row.objects.count(), 4) == [1] * 4
        Row.objects.all().delete()

old = setup_databases(verbosity=0, interactive=False)
with connection.schema_editor() as editor:
    editor.create_model(Row)
result = unittest.TextTestRunner(verbosity=0).run(unittest.TestSuite(
    unittest.defaultTestLoader.loadTestsFromTestCase(case) for case in (Inside, Outside)
))
left = [lock._taken for lock in turns._locks.values()]
teardown_databases(old, verbosity=0)
print(result.testsRun, len(result.failures) + len(result.errors), left)
"""


@pytest.mark.parametrize("memory", [False, True], ids=["file", "memory"])
def test_djangos_test_cases_work(tmp_path: Path, memory: bool) -> None:
    names = [str(tmp_path / "real.sqlite3"), ":memory:" if memory else str(tmp_path / "test.sqlite3")]
    script = (
        CASES
        if not memory
        else CASES[: CASES.index("class Outside")]
        + "Outside = Inside\n"
        + CASES[CASES.index("old = setup") :].replace("(Inside, Outside)", "(Inside,)")
    )
    root = Path(__file__).resolve().parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", script, *names], cwd=root, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout.strip()) == (0, f"{2 if memory else 4} 0 [False]"), ended.stderr


def test_many_threads_may_be_the_first_to_open_a_file(tmp_path: Path, own_databases: None) -> None:
    """Each switches the new file to WAL, which SQLite lets only one do at a time."""
    for attempt in range(5):
        with database(tmp_path / f"{attempt}.sqlite3"):
            together, failed = threading.Barrier(16), []

            def connect(together: threading.Barrier = together, failed: list[Exception] = failed) -> None:
                together.wait(10)
                try:
                    connections["fair"].ensure_connection()
                except Exception as error:
                    failed.append(error)
                finally:
                    connections["fair"].close()

            threads = [threading.Thread(target=connect) for _ in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
            assert failed == []


def test_a_private_memory_database_has_a_queue_of_its_own(own_databases: None) -> None:
    with database(":memory:") as one, database(":memory:", "second") as two:
        create_table(one, Row)
        create_table(two, Row)
        Row._default_manager.using("fair").create(text="one")
        assert one._turn._lock is not two._turn._lock
        assert [Row._default_manager.using(alias).count() for alias in ("fair", "second")] == [1, 0]


def test_memory_databases_that_threads_share_share_a_queue(own_databases: None) -> None:
    name = "file:shared_by_threads?mode=memory&cache=shared"
    with database(name) as one, database(name, "second") as two:
        one.ensure_connection()
        two.ensure_connection()
        assert one._turn._lock is two._turn._lock


def test_statements_that_begin_and_end_a_transaction_by_hand_hold_a_turn(tmp_path: Path, own_databases: None) -> None:
    with database(tmp_path / "hand.sqlite3") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE line (text text)")
        for ending in ("COMMIT", "ROLLBACK"):
            cursor.execute("begin immediate")
            assert connection._turn.held
            cursor.execute("INSERT INTO line VALUES ('x')")
            assert connection._turn.held
            cursor.execute(ending)
            assert not connection._turn.held


def test_without_autocommit_the_first_write_takes_the_turn(tmp_path: Path, own_databases: None) -> None:
    with database(tmp_path / "manual.sqlite3") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE line (text text)")
        connection.set_autocommit(False)
        cursor.execute("SELECT 1 FROM line")
        assert not connection._turn.held
        cursor.executemany("INSERT INTO line VALUES (%s)", [["x"], ["y"]])
        assert connection._turn.held
        connection.commit()
        assert not connection._turn.held
        cursor.execute("DELETE FROM line")
        connection.rollback()
        assert not connection._turn.held
        connection.set_autocommit(True)
        cursor.execute("SELECT count(*) FROM line")
        assert cursor.fetchone() == (2,)
