"""docs/events.md, made from the catalogue."""

from collections.abc import Iterator

import orjson

from .catalogue import CATALOGUE, EventType
from .catalogue.fields import Schema

HEAD = """# Events

Made by `manage.py write_docs` from the catalogue, `taskmaster/events/catalogue/`. Whatever happens in an organization
is told by an event, which is written with the change itself and kept in the organization's log. `data` has the fields
of its type and no others; a later version may add fields and types, so ignore those that you do not know.

`GET /events?after=<sequence>&types=<types>` reads the log in order. Where types are named, a pattern stands for
several: `*` for all of them, `task.*` for those that begin with `task.`.

| type | when |
|---|---|
"""
FIELDS = "| field | type | meaning |\n|---|---|---|\n"
LIVE = "It is sent to whoever listens at the moment and never stored: it has no `id` and no `sequence`.\n\n"


def events_page() -> str:
    """Every type in one table, then each of them with its fields and an example."""
    kinds = CATALOGUE.values()
    rows = (f"| [{kind.name}](#{kind.name.replace('.', '')}) | {kind.meaning} |\n" for kind in kinds)
    return HEAD + "".join(rows) + "".join(_section(kind) for kind in kinds)


def _section(kind: EventType) -> str:
    rows = "".join(
        f"| {path} | {_type(schema)} | {schema['description']} |\n" for path, schema in _members(kind.schema())
    )
    example = kind.example()
    if kind.live:
        del example["id"], example["sequence"]
    shown = orjson.dumps(example, option=orjson.OPT_INDENT_2).decode()
    told = LIVE if kind.live else ""
    return f"\n## {kind.name}\n\n{kind.meaning}\n\n{told}{FIELDS}{rows}\n```json\n{shown}\n```\n"


def _members(schema: Schema, prefix: str = "") -> Iterator[tuple[str, Schema]]:
    """Each member of an object, and theirs, under its path: `response.type`."""
    for name, member in schema.get("properties", {}).items():
        missing = "" if name in schema["required"] else ", may be missing"
        yield f"`{prefix}{name}`{missing}", member
        yield from _members(member, f"{prefix}{name}.")


def _type(schema: Schema) -> str:
    """For people: `string or null`, the values of an enumeration, `time`."""
    types = schema.get("type", "any")
    names = [types] if isinstance(types, str) else list(types)
    if "enum" in schema:
        names[0] = ", ".join(f"`{value}`" for value in schema["enum"] if value is not None)
    elif schema.get("format") == "date-time":
        names[0] = "time"
    return " or ".join(names)
