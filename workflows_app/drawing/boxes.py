"""The boxes of the picture, and the signs of their states."""

from collections.abc import Iterator
from xml.sax.saxutils import escape

from .drawn import Drawn, Look, look_of, one_line
from .layers import Layers
from .lettering import shortened, width_of
from .places import BOX, HEIGHT, top

EDGE, ROUND, ACCENT, SIGN = 20.0, 10.0, 4.0, 16.0
NAME, SMALL = 14.0, 11.0


def boxes(layers: Layers) -> Iterator[str]:
    """The XML of every step's box."""
    for spot in layers.spots:
        if spot.step is not None:
            yield _box(spot.step, spot.x - BOX / 2, top(spot.row))


def sign(look: Look, x: float, y: float) -> str:
    """A state's sign, 16 pixels wide."""
    return (
        f'<path d="{look.sign}" transform="translate({x:g} {y:g})" fill="none" stroke="{look.line}" '
        f'stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round"/>'
    )


def frame(look: Look, width: float, height: float, rounding: float) -> str:
    """A box of a state's colours."""
    dashes = ' stroke-dasharray="5 4"' if look.dashed else ""
    return (
        f'<rect width="{width:g}" height="{height:g}" rx="{rounding:g}" fill="{look.fill}" '
        f'stroke="{look.line}" stroke-width="1.4"{dashes}/>'
    )


def _box(step: Drawn, x: float, y: float) -> str:
    look, room = look_of(step.status), BOX - 2 * EDGE
    kind = one_line(step.type)
    name = shortened(one_line(step.name), NAME, room - SIGN - 6)
    id = shortened(one_line(step.id), SMALL, room - width_of(kind, SMALL) - 10)
    told = f"{one_line(step.name)} ({one_line(step.id)}): {kind}, {one_line(step.status)}"
    return (
        f'<g transform="translate({x:.1f} {y:.1f})"><title>{escape(told)}</title>'
        f"{frame(look, BOX, HEIGHT, ROUND)}"
        f'<rect x="8" y="{ROUND + 3:g}" width="{ACCENT:g}" height="{HEIGHT - 2 * ROUND - 6:g}" rx="2" '
        f'fill="{look.line}"/>'
        f'<text class="name" x="{EDGE:g}" y="27">{escape(name)}</text>'
        f'<text class="id" x="{EDGE:g}" y="48">{escape(id)}</text>'
        f'<text class="kind" x="{BOX - EDGE + 2:g}" y="48" text-anchor="end">{escape(kind)}</text>'
        f"{sign(look, BOX - EDGE - SIGN + 3, 14)}</g>"
    )
