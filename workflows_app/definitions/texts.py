"""Readers of what is filled in when the step runs: templates, expressions, and what they may stand for."""

import re
from collections.abc import Callable
from typing import Any

from taskmaster.core.outbound.addresses import Refused
from taskmaster.core.outbound.urls import read_url

from ..prompts import BadTemplate, check, check_expression
from ..prompts.grammar import Mentions
from ..prompts.parsing import is_plain
from .findings import Place
from .moments import read_moment
from .readers import text

LONGEST = 262_144
MOST_HEADERS = 50
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", re.ASCII)
HEADER_VALUE = re.compile(r"[^\0-\x08\x0a-\x1f\x7f]*")
# What belongs to the connection, and is made by whoever sends.
NOT_OURS = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
_string = text(LONGEST)


def template(value: Any, place: Place) -> Any:
    """A text with `{{ … }}` in it."""
    return _checked(value, place, check)


def expression(value: Any, place: Place) -> Any:
    """What could stand between `{{` and `}}`."""
    return _checked(value, place, check_expression)


def _checked(value: Any, place: Place, check_it: Callable[[str, frozenset[str]], Mentions]) -> Any:
    _string(value, place)
    if isinstance(value, str) and value.strip():
        try:
            place.mentioned(check_it(value, place.names))
        except BadTemplate as bad:
            place.wrong(str(bad))
    return value


def moment(value: Any, place: Place) -> Any:
    """An ISO 8601 time with its offset, or a template of one."""
    if not isinstance(value, str) or not is_plain(value):
        return template(value, place)
    try:
        read_moment(value)
    except ValueError:
        place.wrong("must be an ISO 8601 time with a time zone, such as 2030-01-01T00:00:00Z")
    return value


def url(value: Any, place: Place) -> Any:
    """An address that something may be sent to, or a template of one.

    Loopback, which a setting may allow, and whatever a name leads to are judged when it is sent.
    """
    if not isinstance(value, str) or not is_plain(value):
        return template(value, place)
    try:
        read_url(value.strip(), allow_loopback=True)
    except Refused as refused:
        place.wrong(str(refused))
    return value


def json(value: Any, place: Place) -> Any:
    """A template, or JSON of which every string is one."""
    if isinstance(value, str):
        return template(value, place) if value else value
    if isinstance(value, list):
        for index, item in enumerate(value):
            json(item, place.at(index))
    elif isinstance(value, dict):
        for key, item in value.items():
            json(item, place.at(key[:64]))
    return value


def headers(value: Any, place: Place) -> Any:
    """Headers, each a template."""
    if not isinstance(value, dict):
        place.wrong("must be an object")
        return {}
    if len(value) > MOST_HEADERS:
        place.wrong(f"may have at most {MOST_HEADERS} members")
    for name, content in value.items():
        _header(name, content, place.at(name[:64]))
    return value


def _header(name: str, content: Any, place: Place) -> None:
    if not HEADER_NAME.fullmatch(name):
        place.wrong("is no name of a header")
    elif name.lower() in NOT_OURS:
        place.wrong("is set by the server")
    elif isinstance(content, str) and not HEADER_VALUE.fullmatch(content):
        place.wrong("may not have line breaks or control characters")
    else:
        template(content, place)
