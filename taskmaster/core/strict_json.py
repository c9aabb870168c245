"""Reading JSON the strict way: RFC 8259, narrowed by RFC 7493 (I-JSON) and by bounds on size."""

import json
import re
from typing import Any

MAX_DEPTH = 100
MAX_MEMBERS = 50_000
MAX_INTEGER = 2**53 - 1

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")
_UNWELCOME = re.compile("[\0\ud800-\udfff]")


class JsonRefused(ValueError):
    """Why the text was not taken, in words for its sender."""


def parse(raw: bytes) -> Any:
    """The value in `raw`. Raises JsonRefused."""
    if not raw.strip():
        raise JsonRefused("it is empty")
    _check_depth(raw)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise JsonRefused("it is not valid UTF-8") from None
    reader = _Reader()
    try:
        value = json.loads(
            text,
            object_pairs_hook=reader.members,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
    except json.JSONDecodeError as error:
        raise JsonRefused(f"{error.msg} at line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise JsonRefused(f"it is nested more than {MAX_DEPTH} deep") from None
    # Only an escape can bring in NUL or half a surrogate pair.
    if b"\\u" in raw:
        _check_strings(value)
    return value


def _check_depth(raw: bytes) -> None:
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _BRACKETS.finditer(_STRINGS.sub(b"", raw)):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > MAX_DEPTH:
            raise JsonRefused(f"it is nested more than {MAX_DEPTH} deep")


class _Reader:
    def __init__(self) -> None:
        self.count = 0

    def members(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        self.count += len(pairs)
        if self.count > MAX_MEMBERS:
            raise JsonRefused(f"it has more than {MAX_MEMBERS} members")
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise JsonRefused(f"the key {twice[:64]!r} stands twice in one object")
        return found


def _integer(literal: str) -> int:
    # Python itself refuses integers of thousands of digits, with an error of its own.
    if len(literal) > 17 or abs(int(literal)) > MAX_INTEGER:
        raise JsonRefused("an integer is outside ±(2^53−1)")
    return int(literal)


def _float(literal: str) -> float:
    value = float(literal)
    if value in (float("inf"), float("-inf")):
        raise JsonRefused("a number is too large")
    return value


def _constant(name: str) -> Any:
    raise JsonRefused(f"{name} is not JSON")


def _check_strings(value: Any) -> None:
    """No NUL and no half surrogate pair, in keys and values; iterative, since the depth is the sender's."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, str):
            if _UNWELCOME.search(item):
                raise JsonRefused("a string holds NUL or half of a surrogate pair")
        elif isinstance(item, dict):
            left.extend(item)
            left.extend(item.values())
        elif isinstance(item, list):
            left.extend(item)
