"""Readers of members: each takes a value and its place, says there what is wrong, and gives the value back."""

import re
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Final

from .findings import Place

Reader = Callable[[Any, Place], Any]
ID = re.compile(r"[a-z0-9_-]{1,64}", re.ASCII)
NOTHING: Final = object()


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an object. Where it is absent or null, its default is taken, if it has one."""

    read: Reader
    required: bool = False
    default: Any = NOTHING


def members(value: Mapping[str, Any], table: Mapping[str, Member], place: Place) -> dict[str, Any]:
    """The object's members in the table's order; those that the table does not know are left out."""
    found = {}
    for name, member in table.items():
        if value.get(name) is not None:
            found[name] = member.read(value[name], place.at(name))
        elif member.required:
            place.at(name).wrong("is required")
        elif member.default is not NOTHING:
            found[name] = copy(member.default)
    return found


def text(longest: int) -> Reader:
    """A string that is not empty."""

    def read(value: Any, place: Place) -> Any:
        if not isinstance(value, str):
            place.wrong("must be a string")
        elif not value.strip():
            place.wrong("may not be empty")
        elif len(value) > longest:
            place.wrong(f"may have at most {longest} characters")
        return value

    return read


def identifier(value: Any, place: Place) -> Any:
    """The id of a step or a template."""
    if not isinstance(value, str) or not ID.fullmatch(value):
        place.wrong("must be 1 to 64 of the characters a-z, 0-9, _ and -")
    return value


def whole(least: int, most: int) -> Reader:
    """An integer within bounds; true and 1.5 are none."""

    def read(value: Any, place: Place) -> Any:
        if isinstance(value, bool) or not isinstance(value, int):
            place.wrong("must be a whole number")
        elif not least <= value <= most:
            place.wrong(f"must be from {least} to {most}")
        return value

    return read


def one_of(choices: Sequence[str]) -> Reader:
    """One of some strings."""

    def read(value: Any, place: Place) -> Any:
        if not isinstance(value, str) or value not in choices:
            place.wrong(f"must be one of {', '.join(choices)}")
        return value

    return read


def flag(value: Any, place: Place) -> Any:
    """true or false."""
    if not isinstance(value, bool):
        place.wrong("must be true or false")
    return value


def several(each: Reader, *, most: int, least: int = 0) -> Reader:
    """A list."""

    def read(value: Any, place: Place) -> Any:
        if not isinstance(value, list):
            place.wrong("must be a list")
            return []
        if not least <= len(value) <= most:
            place.wrong(f"must have {least} to {most} items" if least else f"may have at most {most} items")
            return []
        return [each(item, place.at(index)) for index, item in enumerate(value)]

    return read
