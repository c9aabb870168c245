"""Reading JSON the strict way: RFC 8259, narrowed by RFC 7493 (I-JSON) and by bounds on depth and members."""

import json
import math
import re
from collections import Counter
from typing import Any

MAX_DEPTH = 100
# Members of all objects together. What a list may hold is bounded by the size of the body alone.
MAX_MEMBERS = 50_000
# The integers that every JSON reader holds exactly (RFC 7493, section 2.2).
MAX_INTEGER = 2**53 - 1

_NAMED_CHARACTERS = 64
_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes(set(range(256)) - set(_STEP))
_UNWELCOME = re.compile("[\0\ud800-\udfff]")
# Only an escape can bring them in: raw UTF-8 has no surrogates, and a raw NUL is a control character.
_UNWELCOME_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


class JsonRefused(ValueError):
    """Why the text was not taken, in words for its sender."""


def parse(raw: bytes) -> Any:
    """The value in `raw`, objects in the order of their keys. Raises JsonRefused, and nothing else."""
    text = _decoded(raw)
    _check_bounds(raw)
    try:
        value = _decoder.decode(text)
    except json.JSONDecodeError as error:
        problem = error.msg.removesuffix(" at")
        raise JsonRefused(f"{problem} at line {error.lineno} column {error.colno}") from None
    if _UNWELCOME_ESCAPE.search(raw):
        _check_strings(value)
    return value


def _decoded(raw: bytes) -> str:
    if not raw or raw.isspace():
        raise JsonRefused("it is empty")
    if raw.startswith(b"\xef\xbb\xbf"):
        raise JsonRefused("it begins with a byte order mark")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise JsonRefused("it is not valid UTF-8") from None


def _check_bounds(raw: bytes) -> None:
    """Refuse what is too deep or has too many members, before anything is built of it."""
    brackets, colons = raw.count(b"[") + raw.count(b"{"), raw.count(b":")
    if brackets <= MAX_DEPTH and colons <= MAX_MEMBERS:
        return
    # Up to the first error this tells inside from outside exactly, and the parser comes no further than that.
    outside = b"".join(_ESCAPE.sub(b"", raw).split(b'"')[::2])
    if outside.count(b":") > MAX_MEMBERS:
        raise JsonRefused(f"it has more than {MAX_MEMBERS} members")
    depth = 0
    for byte in outside.translate(None, _NO_BRACKETS):
        depth += _STEP[byte]
        if depth > MAX_DEPTH:
            raise JsonRefused(f"it is nested more than {MAX_DEPTH} deep")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise JsonRefused(f"the key {_first_twice(pairs)[:_NAMED_CHARACTERS]!r} stands twice in one object")
    return found


def _first_twice(pairs: list[tuple[str, Any]]) -> str:
    left = Counter(key for key, _ in pairs)
    return next(key for key, _ in pairs if left[key] > 1)


def _integer(literal: str) -> int:
    # By its length first: Python refuses thousands of digits with an error of its own.
    if len(literal) > 17 or abs(number := int(literal)) > MAX_INTEGER:
        raise JsonRefused("an integer is outside ±(2^53−1)")
    return number


def _float(literal: str) -> float:
    number = float(literal)
    if math.isinf(number):
        raise JsonRefused("a number is too large")
    return number


def _constant(name: str) -> Any:
    raise JsonRefused(f"{name} is not JSON")


_decoder = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=_integer, parse_float=_float, parse_constant=_constant
)


def _check_strings(value: Any) -> None:
    """Refuse NUL and half surrogate pairs, in keys as in values: a database takes neither."""
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
