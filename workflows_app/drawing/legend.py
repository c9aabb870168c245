"""The picture's legend: the sign and the colours of every state."""

from collections.abc import Iterator

from .boxes import frame, sign
from .drawn import LOOKS

COLUMN, ROW, WIDTH, HEIGHT = 110.0, 30.0, 26.0, 20.0


def legend_height(room: float) -> float:
    """How high the legend is in a picture of this width."""
    return max(y for _, _, y in _entries(room)) + HEIGHT


def legend(room: float) -> Iterator[str]:
    """The legend's XML."""
    for status, x, y in _entries(room):
        look = LOOKS[status]
        yield (
            f'<g transform="translate({x:.1f} {y:.1f})">{frame(look, WIDTH, HEIGHT, 5)}{sign(look, 5, 2)}'
            f'<text class="legend" x="{WIDTH + 7:g}" y="14.5">{status}</text></g>'
        )


def _entries(room: float) -> Iterator[tuple[str, float, float]]:
    """The states with their places, in as many rows as are needed."""
    columns = max(1, int(room // COLUMN))
    for at, status in enumerate(LOOKS):
        yield status, at % columns * COLUMN, at // columns * ROW
