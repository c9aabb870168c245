"""Reads JSON as models write it, with small slips. What comes out is JSON that a database takes."""

import json
import re
from typing import Any

from taskmaster.core.strict_json import MAX_DEPTH, MAX_INTEGER

_SPACE = re.compile(r"(?:\s+|//[^\n]*)*")
_STRINGS = {
    '"': re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL),
    "'": re.compile(r"'([^'\\]*(?:\\.[^'\\]*)*)'", re.DOTALL),
}
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}(?:\\u[0-9a-fA-F]{4})*|.)", re.DOTALL)
_UNWELCOME = re.compile("[\0\ud800-\udfff]")


class NoJson(ValueError):
    """It is not JSON, however one reads it."""


class _End(Exception):
    """The text ends in the middle of a value."""


def read(text: str, at: int) -> tuple[Any, int]:
    """The object or list that opens at `at`, and where it ends. Raises NoJson.

    Where the text ends before it does, it has what was complete.
    """
    reader = _Reader(text, at)
    return reader.container(1), reader.at


class _Reader:
    """One reading, at the place `at` of the text."""

    def __init__(self, text: str, at: int) -> None:
        self.at = at
        self._text = text

    def container(self, depth: int) -> Any:
        """The object or list that opens here, whole or as far as the text goes."""
        if depth > MAX_DEPTH:
            raise NoJson
        into: dict[str, Any] | list[Any] = {} if self._text[self.at] == "{" else []
        self.at += 1
        try:
            self._fill(into, depth)
        except _End:
            self.at = len(self._text)
        return into

    def _fill(self, into: dict[str, Any] | list[Any], depth: int) -> None:
        close = "}" if isinstance(into, dict) else "]"
        while self._peek() != close:
            if isinstance(into, dict):
                key = self._key()
                into[key] = self._value(depth)
            else:
                into.append(self._value(depth))
            if self._peek() == ",":
                self.at += 1
            elif self._peek() != close:
                raise NoJson
        self.at += 1

    def _peek(self) -> str:
        """The next character that is not space or comment. Raises _End where there is none."""
        space = _SPACE.match(self._text, self.at)
        self.at = space.end() if space else self.at
        if self.at >= len(self._text):
            raise _End
        return self._text[self.at]

    def _key(self) -> str:
        word = _WORD.match(self._text, self.at)
        if word:
            self.at = word.end()
        key = word[0] if word else self._string(self._peek())
        if self._peek() != ":":
            raise NoJson
        self.at += 1
        return key

    def _value(self, depth: int) -> Any:
        first = self._peek()
        if first in "{[":
            return self.container(depth + 1)
        if first in _STRINGS:
            return self._string(first)
        return self._number() if first in "-0123456789" else self._word()

    def _string(self, quote: str) -> str:
        if quote not in _STRINGS:
            raise NoJson
        match = _STRINGS[quote].match(self._text, self.at)
        if match is None:
            raise _End
        self.at = match.end()
        return _UNWELCOME.sub("\ufffd", _unescaped(match[1]))

    def _number(self) -> int | float:
        match = _NUMBER.match(self._text, self.at)
        if match is None:
            raise NoJson
        self.at = match.end()
        if self.at == len(self._text):
            raise _End  # Its last digits may be missing.
        number = float(match[0])
        if abs(number) == float("inf"):
            raise NoJson
        return int(match[0]) if match[0].lstrip("-").isdigit() and abs(number) <= MAX_INTEGER else number

    def _word(self) -> Any:
        match = _WORD.match(self._text, self.at)
        if match is None or match[0] not in _WORDS:
            raise NoJson if match is None or match.end() < len(self._text) else _End
        self.at = match.end()
        return _WORDS[match[0]]


def _unescaped(raw: str) -> str:
    """The string's text; an escape that JSON does not know is what stands there."""
    return _ESCAPE.sub(_escape, raw) if "\\" in raw else raw


def _escape(match: re.Match[str]) -> str:
    try:
        return str(json.loads(f'"{match[0]}"'))
    except ValueError:
        return match[1] if match[1] == "'" else match[0]
