"""What is drawn of a step, and the looks of its states: dark letters on light fills, and never by colour alone."""

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Drawn:
    """A step as pictures show it."""

    id: str
    name: str
    type: str
    status: str
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """The colours of a state, and its sign: a path in a square of 16. Dashed are those that did not run to an end."""

    fill: str
    line: str
    sign: str
    dashed: bool = False


_CIRCLE = "M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13z"
LOOKS = {
    "pending": Look("#f8fafc", "#64748b", _CIRCLE),
    "running": Look("#e0f0ff", "#1d6fd1", f"{_CIRCLE}M6.5 5.2l4.3 2.8l-4.3 2.8z"),
    "waiting": Look("#fff3d1", "#a16207", f"{_CIRCLE}M8 4.5v3.5l2.5 1.8"),
    "completed": Look("#dff6e6", "#15803d", f"{_CIRCLE}M5 8.3l2.1 2.1l4-4.5"),
    "failed": Look("#fee4e2", "#c1291f", f"{_CIRCLE}M5.6 5.6l4.8 4.8M10.4 5.6l-4.8 4.8"),
    "skipped": Look("#f5f3f9", "#6d5f86", "M3 4.5l4 3.5l-4 3.5M8.5 4.5l4 3.5l-4 3.5", dashed=True),
    "cancelled": Look("#f1f1f1", "#525252", f"{_CIRCLE}M3.6 12.4l8.8-8.8", dashed=True),
}
INK = "#0f172a"
FAINT_INK = "#475569"

# What XML cannot hold (XML 1.0, section 2.2), and what would turn a line's direction.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]")
_SPACE = re.compile(r"\s+")


def look_of(status: str) -> Look:
    """The looks of a state."""
    return LOOKS.get(status, LOOKS["pending"])


def one_line(text: str) -> str:
    """The text as it can be shown in a line."""
    return _SPACE.sub(" ", _UNPRINTABLE.sub("", text)).strip()


def arrows(steps: Sequence[Drawn]) -> list[tuple[int, int]]:
    """From and to, as places in `steps`, each once; dependencies that are not drawn have none."""
    places = {step.id: at for at, step in enumerate(steps)}
    found = {(places[id], at): None for at, step in enumerate(steps) for id in step.depends_on if id in places}
    return list(found)
