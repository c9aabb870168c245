"""SQLite files of a test's own, reached as Django reaches every database: by an alias."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import connections, models

OPTIONS = {
    "timeout": 20,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16000; "
    "PRAGMA mmap_size=134217728; PRAGMA temp_store=MEMORY",
}


class Row(models.Model):
    """Something to write; its number is made by the database, and so comes back by RETURNING."""

    text = models.TextField(unique=True)

    class Meta:
        app_label = "core_tests"

    def __str__(self) -> str:
        return self.text


@contextmanager
def database(name: Path | str, alias: str = "fair") -> Iterator[Any]:
    """The calling thread's connection to that file, which has the alias until the end of the block."""
    config = {"ENGINE": "taskmaster.core.sqlite", "NAME": name, "CONN_MAX_AGE": 60, "OPTIONS": OPTIONS}
    connections.settings[alias] = connections.configure_settings({"default": config})["default"]
    try:
        yield connections[alias]
    finally:
        connections[alias].close()
        del connections[alias], connections.settings[alias]


def create_table(connection: Any, model: type[models.Model]) -> None:
    """The model's table."""
    with connection.schema_editor() as editor:
        editor.create_model(model)
