"""What makes many small tests fast, and threads in tests possible."""

import tempfile
from pathlib import Path

import pytest
from django.conf import settings

from tests.conftest import Person, person

from .world import World

# Every client loads the middleware anew; looking for the admin's files then takes longer than most tests.
settings.WHITENOISE_AUTOREFRESH = True


def use_a_database_file() -> None:
    """On SQLite: threads that share a database in memory see each other's table locks as errors, not as waits."""
    database = settings.DATABASES["default"]
    if "sqlite" in database["ENGINE"] and not database.get("TEST", {}).get("NAME"):
        folder = Path(tempfile.mkdtemp(prefix="taskmaster-tests-"))
        database.setdefault("TEST", {})["NAME"] = str(folder / "test.sqlite3")


use_a_database_file()


@pytest.fixture
def world(alice: Person) -> World:
    """Alice's objects."""
    return World(alice)


@pytest.fixture
def dinah(org) -> Person:
    """Alice's colleague, with every scope but `admin`."""
    return person(org, ["read", "write", "agents"])
