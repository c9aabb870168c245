"""Fills an installation's tables: `python -m bench.rows` in its environment, with what to make as JSON on stdin."""

import base64
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import django
import orjson

BATCH = 20_000
ALPHABET = b"0123456789abcdefghjkmnpqrstvwxyz"
_TO_OURS = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", ALPHABET)
HOUR = 3_600_000

Row = dict[str, Any]
Kept = list[list[str]]


def new_id(prefix: str, milliseconds: int) -> str:
    """An id as the product would have made it at that time."""
    moment = "".join(chr(ALPHABET[milliseconds >> shift & 31]) for shift in range(45, -1, -5))
    return f"{prefix}_{moment}{base64.b32encode(os.urandom(10)).translate(_TO_OURS).decode()}"


def insert(model: Any, template: Row, rows: Iterator[Row]) -> None:
    """Copy the template with each row's own values into the model's table, in batches."""
    from django.db import connection, transaction

    whole = model(**template)
    fields = [field for field in model._meta.concrete_fields if not field.primary_key or field.attname == "id"]
    stored = {field.attname: field.get_db_prep_save(getattr(whole, field.attname), connection) for field in fields}
    columns = ", ".join(f'"{field.column}"' for field in fields)
    while batch := [list((stored | row).values()) for row in islice(rows, BATCH)]:
        with transaction.atomic(), connection.cursor() as cursor:
            _write(cursor, connection.vendor, f'"{model._meta.db_table}" ({columns})', batch)


def _write(cursor: Any, vendor: str, into: str, batch: list[list[Any]]) -> None:
    if vendor == "postgresql":
        with cursor.copy(f"COPY {into} FROM STDIN") as copy:
            for row in batch:
                copy.write_row(row)
        return
    places = ", ".join(["%s"] * len(batch[0]))
    cursor.executemany(f"INSERT INTO {into} VALUES ({places})", batch)


def stored_time(milliseconds: int) -> Any:
    """A moment as the database wants it."""
    from django.db import connection

    return connection.ops.adapt_datetimefield_value(datetime.fromtimestamp(milliseconds / 1000, UTC))


def tasks(org: str, agent: str, count: int, keep: Callable[[str], None]) -> None:
    """Ended tasks of an agent: of 20, one has failed."""
    from agents_app.models import Task

    begin = time.time_ns() // 1_000_000 - HOUR - count

    def rows() -> Iterator[Row]:
        for number in range(count):
            pk, moment = new_id("task", begin + number), stored_time(begin + number)
            keep(pk)
            status = "failed" if number % 20 == 0 else "completed"
            yield {"id": pk, "status": status} | dict.fromkeys(
                ("created_at", "assigned_at", "started_at", "finished_at"), moment
            )

    template = {"org_id": org, "agent_id": agent, "type": "bench", "description": "Add a /version endpoint."}
    template |= {"result": {"content": "It is there now."}, "attempts": 1, "backend": "echo", "progress": 1.0}
    insert(Task, template, rows())


def queued(org: str, agent: str, count: int) -> None:
    """Tasks that wait for an agent, with priorities of all kinds."""
    from agents_app.models import Task

    begin = time.time_ns() // 1_000_000 - HOUR - count

    def rows() -> Iterator[Row]:
        for number in range(count):
            moment = stored_time(begin + number)
            times = dict.fromkeys(("created_at", "assigned_at"), moment)
            yield {"id": new_id("task", begin + number), "priority": number % 4} | times

    template = {"org_id": org, "agent_id": agent, "type": "bench", "description": "Add a /version endpoint."}
    insert(Task, template | {"status": "queued"}, rows())


def messages(session: str, count: int, keep: Callable[[str], None]) -> None:
    """Answered messages of a session."""
    from sessions_app.models import Message, Session

    begin = time.time_ns() // 1_000_000 - HOUR - count

    def rows() -> Iterator[Row]:
        for number in range(1, count + 1):
            pk, moment = new_id("msg", begin + number), stored_time(begin + number)
            keep(pk)
            yield {"id": pk, "position": number, "created_at": moment, "finished_at": moment}

    response = {"type": "text_response", "content": "In settings.py.", "metadata": {}}
    template = {"session_id": session, "content": "Which file holds the settings?", "response": response}
    insert(Message, template | {"status": "completed", "position": 0}, rows())
    Session.objects.filter(pk=session).update(message_count=count)


def many_sessions(org: str, agent: str, messages_in_all: int, each: int) -> list[str]:
    """Sessions that hold the messages in equal parts."""
    from sessions_app.models import Message, Session

    begin = time.time_ns() // 1_000_000 - HOUR - messages_in_all
    pks = [new_id("session", begin + number) for number in range(messages_in_all // each)]
    template = {"org_id": org, "agent_id": agent, "agent_type": "custom", "message_count": each}
    insert(Session, template, ({"id": pk} for pk in pks))

    def rows() -> Iterator[Row]:
        for number in range(len(pks) * each):
            yield {
                "id": new_id("msg", begin + number),
                "session_id": pks[number % len(pks)],
                "position": number // len(pks) + 1,
            }

    response = {"type": "text_response", "content": "In settings.py.", "metadata": {}}
    filled = {"content": "Which file holds the settings?", "response": response, "status": "completed"}
    insert(Message, filled | {"session_id": pks[0], "position": 0}, rows())
    return pks


def analyze() -> None:
    """What PostgreSQL's autovacuum does by itself within a minute; nobody does it for SQLite."""
    from django.db import connection

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")


def sampler(count: int, into: list[str]) -> Callable[[str], None]:
    """Keeps 100 ids from all over."""
    seen, step = iter(range(count)), max(1, count // 100)
    return lambda pk: into.append(pk) if next(seen) % step == 0 else None


def main() -> None:
    """Make what the JSON says and print the ids to ask for."""
    django.setup()
    wanted = orjson.loads(sys.stdin.buffer.read())
    if "queued" in wanted:
        queued(wanted["org"], wanted["agent"], wanted["queued"])
        return analyze()
    org, agent, session, count = (wanted[key] for key in ("org", "agent", "session", "count"))
    kept: dict[str, list[str]] = {"tasks": [], "messages": [], "sessions": []}
    tasks(org, agent, count, sampler(count, kept["tasks"]))
    messages(session, count, sampler(count, kept["messages"]))
    spread = many_sessions(org, agent, count, 100)
    kept["sessions"] = spread[:: max(1, len(spread) // 100)]
    analyze()
    sys.stdout.buffer.write(orjson.dumps(kept))
    return None


if __name__ == "__main__":
    main()
