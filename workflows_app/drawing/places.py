"""Gives the spots of each row their places from left to right: as close to their neighbours as the room allows."""

from collections.abc import Sequence
from itertools import pairwise

from .layers import Layers, Spot

BOX, HEIGHT, BEND, GAP, BETWEEN = 240.0, 64.0, 18.0, 28.0, 50.0
SWEEPS = 16
# A long arrow should be straight, so its bends pull harder on each other.
PULLS = {0: 1.0, 1: 2.0, 2: 8.0}


def place(layers: Layers) -> float:
    """Set the x of every spot, its middle, with the leftmost edge at 0. Returns the width."""
    for row in layers.rows:
        spread(row, layers.spots, [0.0] * len(row), [1.0] * len(row))
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        for row in layers.rows if downwards else reversed(layers.rows):
            wanted = [_pull(layers.spots, at, downwards=downwards, both=sweep >= SWEEPS - 2) for at in row]
            spread(row, layers.spots, [x for x, _ in wanted], [weight for _, weight in wanted])
    left = min((spot.x - _width(spot) / 2 for spot in layers.spots), default=0.0)
    for spot in layers.spots:
        spot.x -= left
    return max((spot.x + _width(spot) / 2 for spot in layers.spots), default=0.0)


def top(row: int) -> float:
    """Where a row begins."""
    return row * (HEIGHT + BETWEEN)


def _pull(spots: Sequence[Spot], at: int, *, downwards: bool, both: bool) -> tuple[float, float]:
    """Where the spot's neighbours want it, and how much."""
    spot = spots[at]
    others = spot.above + spot.below if both else spot.above if downwards else spot.below
    if not others:
        return spot.x, 0.1
    pulls = [PULLS[(spot.step is None) + (spots[other].step is None)] for other in others]
    total = sum(pulls)
    return sum(spots[other].x * pull for other, pull in zip(others, pulls, strict=True)) / total, total


def spread(row: Sequence[int], spots: Sequence[Spot], wanted: Sequence[float], weights: Sequence[float]) -> None:
    """Put the row's spots where they are wanted, or, where they would touch, together as near to it as they can be.

    That is the least sum of weighted squares under "each right of the one before": isotonic regression, which pooling
    adjacent violators solves exactly.
    """
    offsets = [0.0]
    for before, after in pairwise(row):
        offsets.append(offsets[-1] + (_width(spots[before]) + _width(spots[after])) / 2 + GAP)
    pools: list[tuple[float, float, int]] = []
    for x, weight, offset in zip(wanted, weights, offsets, strict=True):
        pool = (x - offset, weight, 1)
        while pools and pools[-1][0] > pool[0]:
            pool = _pooled(pools.pop(), pool)
        pools.append(pool)
    middles = [middle for middle, _, count in pools for _ in range(count)]
    for at, middle, offset in zip(row, middles, offsets, strict=True):
        spots[at].x = middle + offset


def _pooled(left: tuple[float, float, int], right: tuple[float, float, int]) -> tuple[float, float, int]:
    weight = left[1] + right[1]
    return (left[0] * left[1] + right[0] * right[1]) / weight, weight, left[2] + right[2]


def _width(spot: Spot) -> float:
    return BEND if spot.step is None else BOX
