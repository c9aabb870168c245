"""The filters a template may use: one table. Each is given the allowance, the value and its arguments."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .allowance import MAX_OUTPUT, Allowance
from .errors import BadTemplate
from .values import MISSING, as_number, as_text, bounded, is_absent, kind, to_json


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter, and how many arguments it takes at least and at most."""

    apply: Callable[..., Any]
    least: int = 0
    most: int = 0


def _default(allowance: Allowance, value: Any, other: Any = "", also_false: Any = False) -> Any:
    return other if is_absent(value) or (also_false and not value) else value


def _tojson(allowance: Allowance, value: Any) -> str:
    return allowance.made(to_json(value))


def _join(allowance: Allowance, value: Any, between: Any = "") -> str:
    parts = [allowance.made(as_text(item)) for item in _list(value, "join")]
    between = as_text(between)
    _check_length(sum(map(len, parts)) + len(between) * len(parts))
    return allowance.made(between.join(parts))


def _length(allowance: Allowance, value: Any) -> int:
    if is_absent(value):
        return 0
    if not isinstance(value, str | list | dict):
        raise BadTemplate(f"{kind(value)} has no length")
    return len(value)


def _upper(allowance: Allowance, value: Any) -> str:
    return allowance.made(as_text(value).upper())


def _lower(allowance: Allowance, value: Any) -> str:
    return allowance.made(as_text(value).lower())


def _trim(allowance: Allowance, value: Any) -> str:
    return allowance.made(as_text(value).strip())


def _truncate(allowance: Allowance, value: Any, length: Any = 255) -> str:
    text, length = as_text(value), max(1, int(as_number(length)))
    return allowance.made(text if len(text) <= length else text[: length - 1] + "…")


def _first(allowance: Allowance, value: Any) -> Any:
    return next(iter(_list(value, "first")), MISSING)


def _last(allowance: Allowance, value: Any) -> Any:
    return next(reversed(_list(value, "last")), MISSING)


def _replace(allowance: Allowance, value: Any, old: Any, new: Any) -> str:
    text, old, new = as_text(value), as_text(old), as_text(new)
    if not old:
        return allowance.made(text)
    _check_length(len(text) + text.count(old) * (len(new) - len(old)))
    return allowance.made(text.replace(old, new))


def _round(allowance: Allowance, value: Any, digits: Any = 0) -> int | float:
    number, digits = as_number(value), int(as_number(digits))
    return bounded(round(number, min(digits, 15)) if digits > 0 else round(number))


def _list(value: Any, name: str) -> list[Any]:
    if is_absent(value):
        return []
    if not isinstance(value, list):
        raise BadTemplate(f"{name} needs a list, not {kind(value)}")
    return value


def _check_length(length: int) -> None:
    """Before it is made: a few short texts can ask for gigabytes."""
    if length > MAX_OUTPUT:
        raise BadTemplate(f"a text is longer than {MAX_OUTPUT} characters")


FILTERS = {
    "default": Filter(_default, most=2),
    "first": Filter(_first),
    "join": Filter(_join, most=1),
    "last": Filter(_last),
    "length": Filter(_length),
    "lower": Filter(_lower),
    "replace": Filter(_replace, 2, 2),
    "round": Filter(_round, most=1),
    "tojson": Filter(_tojson),
    "trim": Filter(_trim),
    "truncate": Filter(_truncate, most=1),
    "upper": Filter(_upper),
}
