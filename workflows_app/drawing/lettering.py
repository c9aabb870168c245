"""How wide letters are, roughly, so that a line ends before its box does."""

import unicodedata

# Widths in parts of the size, a little more than those of common fonts.
_NARROW, _WIDE, _OTHER = 0.36, 0.98, 0.62
_NARROW_LETTERS = frozenset("ijlftrI.,:;'|!()[] -")
_WIDE_LETTERS = frozenset("mwMW@%&QOG")


def width_of(text: str, size: float) -> float:
    """How wide the text is in pixels."""
    return size * sum(map(_part, text))


def shortened(text: str, size: float, room: float) -> str:
    """The text, cut where it is wider than the room."""
    if width_of(text, size) <= room:
        return text
    left = room - size * 0.9
    kept = 0
    for letter in text:
        left -= size * _part(letter)
        if left < 0:
            break
        kept += 1
    return text[:kept].rstrip() + "…"


def _part(letter: str) -> float:
    if letter in _NARROW_LETTERS:
        return _NARROW
    if letter in _WIDE_LETTERS or unicodedata.east_asian_width(letter) in "WF":
        return _WIDE
    return 0.7 if letter.isupper() else _OTHER
