"""The arrows of the picture."""

from collections.abc import Iterator, Sequence

from .drawn import look_of
from .layers import Layers, Spot
from .places import HEIGHT, top

TIP = 7.0
DARK, FAINT = "#64748b", "#a3adba"


def tips() -> Iterator[str]:
    """The arrows' heads, dark and faint."""
    for name, colour in (("dark", DARK), ("faint", FAINT)):
        yield (
            f'<marker id="{name}" viewBox="0 0 10 10" refX="2" refY="5" markerWidth="{TIP:g}" markerHeight="{TIP:g}" '
            f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L10 5L0 10z" fill="{colour}"/></marker>'
        )


def lines(layers: Layers) -> Iterator[str]:
    """The XML of every arrow: faint ones first, so that dark ones lie above them."""
    ways = [[layers.spots[at] for at in way] for way in layers.arrows]
    for name, colour, dashes in (("faint", FAINT, ' stroke-dasharray="4 4"'), ("dark", DARK, "")):
        yield f'<g fill="none" stroke="{colour}" stroke-width="1.5" marker-end="url(#{name})"{dashes}>'
        yield from (f'<path d="{course(way)}"/>' for way in ways if _will_not_run(way[-1]) == (name == "faint"))
        yield "</g>"


def _will_not_run(spot: Spot) -> bool:
    return spot.step is not None and look_of(spot.step.status).dashed


def course(way: Sequence[Spot]) -> str:
    """Down from box to box: bent between the rows, straight beside the boxes that it passes."""
    x, y = way[0].x, top(way[0].row) + HEIGHT
    parts = [f"M{x:.1f} {y:.1f}"]
    for spot in way[1:]:
        end = top(spot.row) - (TIP if spot.step is not None else 0)
        parts.append(f"V{end:.1f}" if abs(spot.x - x) < 0.5 else _bend(x, y, spot.x, end))
        x, y = spot.x, end
        if spot.step is None:
            y += HEIGHT
            parts.append(f"V{y:.1f}")
    return "".join(parts)


def _bend(x: float, y: float, to_x: float, to_y: float) -> str:
    half = (to_y - y) / 2
    return f"C{x:.1f} {y + half:.1f} {to_x:.1f} {to_y - half:.1f} {to_x:.1f} {to_y:.1f}"
