"""Finds the JSON in what a model wrote: in a block of its own, or in the middle of its sentences."""

import re
from collections.abc import Iterator
from typing import Any

from taskmaster.core.strict_json import JsonRefused, parse

from .tolerant_json import NoJson, read

# What is looked at of a longer text, and how many openings in it are tried.
MAX_CHARACTERS = 262_144
MAX_TRIES = 50

# A block that is not closed goes on to the end: the model ran out of tokens.
_BLOCK = re.compile(r"^[ \t]*```[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*```[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
# Not what stands in code: an argument, an index, or what a name is set to.
_OPENING = re.compile(r"(?<![(\w.])(?<!= )[\[{]")


def extract_json(text: str) -> Any:
    """The object or list in a model's text, None where there is none.

    A block marked `json` counts first, then one without a mark, then the longest stretch outside of blocks. Small
    slips are forgiven: comments, a comma too many, single quotes, and an end that is missing, where what was complete
    is kept. Blocks in other languages are code and never looked into.
    """
    text = text[:MAX_CHARACTERS]
    blocks = [(match[1].lower(), match[2]) for match in _BLOCK.finditer(text)]
    for body in (*_marked(blocks, "json", "json5", "jsonc"), *_marked(blocks, "")):
        found = _longest(body)
        if found is not None:
            return found
    return _longest(_BLOCK.sub("\n", text))


def _marked(blocks: list[tuple[str, str]], *marks: str) -> Iterator[str]:
    return (body for mark, body in blocks if mark in marks)


def _longest(text: str) -> Any:
    """The value that takes the most room; of a text that is JSON as a whole, that."""
    try:
        whole = parse(text.encode(errors="replace"))
    except JsonRefused:
        return _longest_stretch(text)
    return whole if isinstance(whole, dict | list) else None


def _longest_stretch(text: str) -> Any:
    found, size, at = None, 0, 0
    for _ in range(MAX_TRIES):
        opening = _OPENING.search(text, at)
        if opening is None:
            break
        try:
            value, at = read(text, opening.start())
        except NoJson:
            at = opening.end()
            continue
        if at - opening.start() > size and _says_something(value):
            found, size = value, at - opening.start()
    return found


def _says_something(value: Any) -> bool:
    """An object or a list that is not empty; `[1]` in a sentence is a footnote."""
    if isinstance(value, list):
        return any(isinstance(item, dict | list | str) for item in value)
    return isinstance(value, dict) and bool(value)
