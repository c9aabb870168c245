"""Puts steps into rows: each below all it depends on, with the fewest crossings that a few sweeps find."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from .drawn import Drawn, arrows

# Bends keep a long arrow out of the boxes that it passes; more of them than this would cost more than they give.
MOST_BENDS = 4_000
SWEEPS = 12
# From this many lines on, crossings are no longer counted: nobody sees them.
MANY_LINES = 4_000


@dataclass(slots=True)
class Spot:
    """A step's box, or, without a step, a bend of an arrow; `above` and `below` are the places of its neighbours."""

    row: int
    step: Drawn | None = None
    above: list[int] = field(default_factory=list)
    below: list[int] = field(default_factory=list)
    x: float = 0.0


@dataclass(slots=True)
class Layers:
    """The spots, the rows of their places from left to right, and each arrow as the places that it passes."""

    spots: list[Spot]
    rows: list[list[int]]
    arrows: list[list[int]]


def layered(steps: Sequence[Drawn]) -> Layers:
    """The steps in rows."""
    lines = arrows(steps)
    rows = _rows(len(steps), lines)
    layers = Layers([Spot(row, step) for row, step in zip(rows, steps, strict=True)], [], [])
    bends = MOST_BENDS
    # Short arrows get their bends first; those that get none are drawn straight through.
    for start, end in sorted(lines, key=lambda line: rows[line[1]] - rows[line[0]]):
        between = rows[end] - rows[start] - 1
        layers.arrows.append(_arrow(layers, start, end, between if between <= bends else 0))
        bends -= between if between <= bends else 0
    layers.rows = [[] for _ in range(max(rows, default=-1) + 1)]
    for at, spot in enumerate(layers.spots):
        layers.rows[spot.row].append(at)
    _uncross(layers)
    return layers


def _rows(count: int, lines: Sequence[tuple[int, int]]) -> list[int]:
    """Of each step the length of the longest way to it."""
    rows, waits = [0] * count, [0] * count
    after: list[list[int]] = [[] for _ in range(count)]
    for start, end in lines:
        after[start].append(end)
        waits[end] += 1
    ready = [at for at in range(count) if not waits[at]]
    for at in ready:
        for end in after[at]:
            rows[end] = max(rows[end], rows[at] + 1)
            waits[end] -= 1
            if not waits[end]:
                ready.append(end)
    return rows


def _arrow(layers: Layers, start: int, end: int, bends: int) -> list[int]:
    way = [start]
    for row in range(layers.spots[start].row + 1, layers.spots[start].row + 1 + bends):
        way.append(len(layers.spots))
        layers.spots.append(Spot(row))
    way.append(end)
    for upper, lower in pairwise(way):
        layers.spots[upper].below.append(lower)
        layers.spots[lower].above.append(upper)
    return way


def _uncross(layers: Layers) -> None:
    """Sort each row by the middle of its neighbours, downwards and upwards in turn, and keep the best that comes up."""
    counted = sum(len(spot.below) for spot in layers.spots) < MANY_LINES
    best, least = [list(row) for row in layers.rows], crossings(layers) if counted else 0
    for sweep in range(SWEEPS if counted else 2):
        if counted and not least:
            break
        for row in layers.rows[1:] if sweep % 2 == 0 else layers.rows[-2::-1]:
            _sort(row, layers, downwards=sweep % 2 == 0)
        found = crossings(layers) if counted else 0
        if found < least or not counted:
            best, least = [list(row) for row in layers.rows], found
    layers.rows = best


def _sort(row: list[int], layers: Layers, *, downwards: bool) -> None:
    neighbours = [layers.spots[at].above if downwards else layers.spots[at].below for at in row]
    rows = {layers.spots[other].row for others in neighbours for other in others}
    position = {other: index for number in rows for index, other in enumerate(layers.rows[number])}
    middles = {
        at: sum(position[other] for other in others) / len(others) if others else float(index)
        for index, (at, others) in enumerate(zip(row, neighbours, strict=True))
    }
    row.sort(key=middles.__getitem__)


def crossings(layers: Layers) -> int:
    """How often lines between neighbouring rows cross."""
    total = 0
    for upper, lower in pairwise(layers.rows):
        position = {at: index for index, at in enumerate(lower)}
        ends: list[int] = []
        for at in upper:
            targets = [position[other] for other in layers.spots[at].below if other in position]
            total += sum(len(ends) - bisect_left(ends, target + 1) for target in targets)
            for target in targets:
                insort(ends, target)
    return total
