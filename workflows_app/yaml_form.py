"""Templates as YAML: JSON's values alone, so that a document means the same to every reader."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from taskmaster.core.strict_json import MAX_DEPTH, JsonRefused, parse

MAX_CHARACTERS = 262_144
WIDTH = 110

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# YAML 1.2's core schema: `on` and `no` are words, and a time is text.
_WORDS = {"null": None, "~": None, "": None, "true": True, "false": False}
_INTEGER = re.compile(r"[-+]?[0-9]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
# What YAML takes for line breaks besides the one we write.
_BREAKS = re.compile("[\r\x85\u2028\u2029]|^\n+$")


class BadYaml(ValueError):
    """Why the document was not taken, in words for its sender."""


def from_yaml(text: str) -> Any:
    """The document's value, objects in the order of their keys. Raises BadYaml.

    Refused are anchors, aliases and tags, keys that stand twice or are no strings, and whatever JSON bodies may not
    hold either.
    """
    if len(text) > MAX_CHARACTERS:
        raise BadYaml(f"it is longer than {MAX_CHARACTERS} characters")
    try:
        value = _Document(yaml.parse(text, Loader=_Loader)).value()
        return parse(json.dumps(value).encode())
    except yaml.MarkedYAMLError as error:
        where = f" at line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise BadYaml(f"{error.problem or 'it cannot be read'}{where}") from None
    except yaml.YAMLError as error:
        raise BadYaml(str(error).partition("\n")[0]) from None
    except (JsonRefused, UnicodeError) as refused:
        raise BadYaml(str(refused)) from None


def to_yaml(value: Any) -> str:
    """The value as a YAML document; texts of several lines are written as such."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH, indent=2))


class _Document:
    """Builds the value out of the parser's events; PyYAML's own objects and types never come into being."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events

    def value(self) -> Any:
        """The one document's value. Raises BadYaml."""
        self._next()  # The stream's beginning.
        first = self._next()
        if isinstance(first, yaml.StreamEndEvent):
            raise BadYaml("it is empty")
        found = self._node(self._next(), 1)
        self._next()  # The document's end.
        if not isinstance(self._next(), yaml.StreamEndEvent):
            raise BadYaml("it has more than one document")
        return found

    def _next(self) -> Any:
        return next(self._events)

    def _node(self, event: Any, depth: int) -> Any:
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            raise _refused("anchors and aliases are not taken", event)
        if event.tag:
            raise _refused("tags are not taken", event)
        if depth > MAX_DEPTH:
            raise _refused(f"it is nested more than {MAX_DEPTH} deep", event)
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        return self._object(depth) if isinstance(event, yaml.MappingStartEvent) else self._list(depth)

    def _list(self, depth: int) -> list[Any]:
        found = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            found.append(self._node(event, depth + 1))
        return found

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(key, str):
                raise _refused("a key is no string", event)
            if key in found:
                raise _refused(f"the key {key[:64]!r} stands twice in one object", event)
            found[key] = self._node(self._next(), depth + 1)
        return found


def _scalar(event: Any) -> Any:
    return _plain(event.value) if event.implicit[0] else event.value


def _plain(text: str) -> Any:
    """What a text without quotes means."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text) and len(text) <= 17:
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _refused(message: str, event: Any) -> BadYaml:
    return BadYaml(f"{message} at line {event.start_mark.line + 1}")


class _Dumper(yaml.SafeDumper):
    """Never writes an alias, and what a text says as its lines."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    quoted = _BREAKS.search(text) or _plain(text) != text
    style = '"' if quoted else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _write_text)
