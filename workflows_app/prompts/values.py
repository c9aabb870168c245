"""What JSON values are to a template: looked into by key and index alone, never by Python's attributes."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from .errors import BadTemplate

# The integers that every JSON reader holds exactly (RFC 7493, section 2.2).
MAX_INTEGER = 2**53 - 1


class Missing:
    """What a path that leads nowhere comes to: false, empty as text, and null where JSON is made of it."""

    def __bool__(self) -> bool:
        return False


MISSING: Final = Missing()


def is_absent(value: Any) -> bool:
    """Whether it is missing or null."""
    return value is None or value is MISSING


def is_number(value: Any) -> bool:
    """Whether it is a number; true is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def kind(value: Any) -> str:
    """The value's kind, as an error names it."""
    kinds = {bool: "a boolean", str: "a string", list: "a list", int: "a number", float: "a number"}
    return "nothing" if is_absent(value) else kinds.get(type(value), "an object")


def look_up(value: Any, key: Any) -> Any:
    """The member `key` of an object, or the item at an index of a list, counted from its end where it is negative."""
    if isinstance(value, Mapping):
        return value.get(key, MISSING) if isinstance(key, str) else MISSING
    if isinstance(value, list) and isinstance(key, int) and not isinstance(key, bool):
        return value[key] if -len(value) <= key < len(value) else MISSING
    return MISSING


def as_json(value: Any) -> Any:
    """The value, null where it is missing."""
    return None if value is MISSING else value


def as_text(value: Any) -> str:
    """The value as text: strings as they are, nothing as nothing, the rest as compact JSON. Raises BadTemplate."""
    if isinstance(value, str):
        return value
    return "" if is_absent(value) else to_json(value)


def to_json(value: Any) -> str:
    """Compact JSON. Raises BadTemplate for what is too deep."""
    try:
        return orjson.dumps(as_json(value)).decode()
    except TypeError:
        raise BadTemplate("a value cannot be written as JSON") from None


def as_number(value: Any) -> int | float:
    """The number itself. Raises BadTemplate."""
    if not is_number(value):
        raise BadTemplate(f"a number is needed, not {kind(value)}")
    return value  # type: ignore[no-any-return]


def bounded(number: int | float) -> int | float:
    """A number that came out of others. Raises BadTemplate for one past what JSON readers hold."""
    if not abs(number) <= (MAX_INTEGER if isinstance(number, int) else 1e308):
        raise BadTemplate("a number is too large")
    return number
