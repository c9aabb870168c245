"""Small things about the database connection."""

import logging
from collections.abc import Callable
from typing import TypeVar

from django.db import connection, connections

from .bundles import Statement, run_later

logger = logging.getLogger(__name__)
T = TypeVar("T")


def keep_healthy() -> None:
    """At the end of a piece of work in a long-lived thread: keep the connection, unless an error has spoiled it.

    Django's own `close_old_connections` would give it back to the pool each time, and check it at each new start.
    """
    for used in connections.all(initialized_only=True):
        if used.errors_occurred:
            used.close_if_unusable_or_obsolete()


def quietly(call: Callable[[], T]) -> T | None:
    """A piece of work in a long-lived thread, whose failure is told to the log and mended by the sweep; None then."""
    try:
        return call()
    except Exception as error:
        logger.warning("left for the sweep: %s", type(error).__name__)
        return None
    finally:
        keep_healthy()


def commit_without_waiting() -> None:
    """Let this transaction's commit return before it is on the disk (PostgreSQL).

    For changes that may be lost with a crash of the database because they are then simply made again. Whoever
    commits later and waits brings this one to the disk too, since the log is written in order.
    """
    if connection.vendor == "postgresql":
        run_later(Statement("SET LOCAL synchronous_commit TO OFF"))


def make_durable() -> None:
    """Return when everything that has been committed until now is on the disk (PostgreSQL)."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # A commit of its own, which waits, and with it all that stands before it in the log.
            cursor.execute("SELECT pg_logical_emit_message(true, 'taskmaster', 'durable')")
