"""docs/events.md, made from the catalogue."""

from collections.abc import Iterator

import orjson

from .catalogue import CATALOGUE, EventType
from .catalogue.fields import Schema

HEAD = """# Events

Made by `manage.py write_docs` from the catalogue, `taskmaster/events/catalogue/`. Whatever happens in an organization
is told by an event, which is written with the change itself and kept in the organization's log. `data` has the fields
of its type and no others; a later version may add fields and types, so ignore those that you do not know. The JSON
Schema of each type is in `/openapi.json`.

## Replay

`GET /events?after=<sequence>&types=<types>` reads the log in order. Where types are named, a pattern stands for
several: `*` for all of them, `task.*` for those that begin with `task.`. Names are divided by commas; one that means
nothing is a `400`. A page holds `limit` events, up to 100; `after` with the last `sequence` asks for the next ones, as
does `cursor` with `pagination.nextCursor`. An event can be read some milliseconds after its change, when it has got its
`sequence`: they count from 1 for each organization and have no gaps. Old events are pruned where
`TASKMASTER_RETENTION_EVENTS` says so; what is left keeps its numbers.

`GET /events/{id}` is one event: the same `id` is told over REST, by the WebSocket and by webhooks.

## Streaming

`GET /events/stream` tells the events as they come, as server-sent events:

```
: connected
retry: 1000
id: 41

id: 42
event: task.completed
data: {"id":"evt_…","eventType":"task.completed","sequence":42,"timestamp":"2024-01-01T00:00:00.000Z","data":{…}}

: keep-alive
id: 47
```

- `types`, `sessionId`, `taskId` and `workflowId` narrow it; an event must fit all that are given.
- It begins after the sequence in the header `Last-Event-ID`, else after `after`, else now. Every block with an `id`
  says how far it has come, be it that nothing of it was wanted: whoever comes back with the last `id` as
  `Last-Event-ID` misses nothing and is told nothing twice.
- Every 15 seconds comes a comment. A client that reads slowly is told the rest from the log; one that reads nothing for
  75 seconds is cut off.
- `event: gap` with `{"after": 41}` says that events after 41 have been pruned; it goes on with what is left.
- It ends when the server restarts, and within 5 seconds when the token is revoked or expires or the organization is
  suspended. A process holds at most 5,000 streams (503 past that), and 1,000 of one organization (429).
- A browser's `EventSource` cannot send the headers that say who you are: read it there with `fetch`, or use the
  WebSocket.

## Types

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
