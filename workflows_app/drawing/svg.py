"""A workflow as an SVG: boxes in rows, arrows between them, a legend below. No scripts, no links, no outside fonts."""

from collections import Counter
from collections.abc import Sequence
from xml.sax.saxutils import escape

from .boxes import boxes
from .drawn import FAINT_INK, INK, LOOKS, Drawn
from .layers import layered
from .legend import legend, legend_height
from .lines import lines, tips
from .places import HEIGHT, place, top

MARGIN, NARROWEST = 28.0, 440.0
SANS = "Inter,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
MONO = "ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace"
STYLE = (
    f"text{{font-family:{SANS};fill:{INK}}}.name{{font-size:14px;font-weight:600}}"
    f".id{{font-family:{MONO};font-size:11px;fill:{FAINT_INK}}}.kind{{font-size:11px;fill:{FAINT_INK}}}"
    ".legend{font-size:12px}"
)


def svg(steps: Sequence[Drawn]) -> str:
    """The picture's XML."""
    layers = layered(steps)
    graph_width = place(layers)
    inner = max(graph_width, NARROWEST)
    graph_height = top(len(layers.rows) - 1) + HEIGHT + MARGIN if layers.rows else 0.0
    width, height = inner + 2 * MARGIN, graph_height + legend_height(inner) + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img">',
        f"<title>{escape(_told(steps))}</title>",
        f"<style>{STYLE}</style>",
        f"<defs>{''.join(tips())}</defs>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<g transform="translate({MARGIN + (inner - graph_width) / 2:.1f} {MARGIN:.1f})">',
        *lines(layers),
        *boxes(layers),
        "</g>",
        f'<g transform="translate({MARGIN:.1f} {MARGIN + graph_height:.1f})">',
        *legend(inner),
        "</g>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _told(steps: Sequence[Drawn]) -> str:
    """The picture in words."""
    counted = Counter(step.status for step in steps)
    states = [f"{counted[status]} {status}" for status in LOOKS if counted[status]]
    return f"A workflow of {len(steps)} steps: {', '.join(states)}" if states else "A workflow without steps"
