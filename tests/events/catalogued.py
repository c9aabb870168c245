"""Whether an event's data is what the catalogue says of its type."""

import re
from functools import cache
from typing import Any

import orjson
from jsonschema import Draft202012Validator, FormatChecker

from taskmaster.events.catalogue import schema

FORMATS = FormatChecker()


@FORMATS.checks("date-time")
def is_a_time(value: object) -> bool:
    """As the contract writes times: UTC, milliseconds, Z."""
    return not isinstance(value, str) or bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value))


def complaints(event_type: str, data: Any) -> list[str]:
    """What is wrong with it, as readers get it: `task.failed: $: 'code' is a required property`."""
    read = orjson.loads(orjson.dumps(data))
    return [f"{event_type}: {error.json_path}: {error.message}" for error in _validator(event_type).iter_errors(read)]


@cache
def _validator(event_type: str) -> Draft202012Validator:
    return Draft202012Validator(schema(event_type), format_checker=FORMATS)


class Watch:
    """Stands in `events.log.checks`: refuses what is wrong, and remembers it, since the code may survive a refusal."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, event_type: str, data: dict[str, Any]) -> None:
        wrong = complaints(event_type, data)
        self.seen += wrong
        assert wrong == [], f"not what the catalogue says: {wrong}"
