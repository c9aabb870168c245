"""A workflow as a Mermaid flowchart."""

from collections.abc import Iterator, Sequence

from .drawn import INK, LOOKS, Drawn, arrows, one_line

# How a step's type shows in its shape.
SHAPES = {
    "agent": ("[", "]"),
    "approval": ("{{", "}}"),
    "wait": ("([", "])"),
    "http": ("[[", "]]"),
    "condition": ("{", "}"),
    "foreach": ("[/", "/]"),
}


def mermaid(steps: Sequence[Drawn]) -> str:
    """The text of the flowchart, from top to bottom, coloured by state."""
    return "\n".join(["flowchart TD", *_boxes(steps), *_lines(steps), *_classes(steps)]) + "\n"


def _boxes(steps: Sequence[Drawn]) -> Iterator[str]:
    for at, step in enumerate(steps):
        left, right = SHAPES.get(step.type, SHAPES["agent"])
        label = f"{_escaped(step.name)}<br/><small>{_escaped(step.id)}: {_escaped(step.status)}</small>"
        yield f'    s{at}{left}"{label}"{right}:::{_class(step)}'


def _lines(steps: Sequence[Drawn]) -> Iterator[str]:
    for start, end in arrows(steps):
        line = "-.->" if LOOKS[_class(steps[end])].dashed else "-->"
        yield f"    s{start} {line} s{end}"


def _classes(steps: Sequence[Drawn]) -> Iterator[str]:
    used = {_class(step) for step in steps}
    for name, look in LOOKS.items():
        if name in used:
            dashes = ",stroke-dasharray:5 4" if look.dashed else ""
            yield f"    classDef {name} fill:{look.fill},stroke:{look.line},color:{INK}{dashes}"


def _class(step: Drawn) -> str:
    return step.status if step.status in LOOKS else "pending"


def _escaped(text: str) -> str:
    """Every character that could mean something to Mermaid, to Markdown or to HTML, by its number."""
    return "".join(c if c.isalnum() or c in " .,-_!?" else f"#{ord(c)};" for c in one_line(text))
