"""A unified diff as people read it."""

from collections.abc import Iterator

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

MOST_LINES = 2_000
# What the lines of a file's head begin with: a removed or an added line may begin so, but hardly three in a row.
HEAD = ("--- ", "+++ ", "@@ ")
# Translucent, so that they do on a light page and on a dark one.
STYLES = {
    "+": "background:rgba(46,160,67,.2)",
    "-": "background:rgba(248,81,73,.2)",
    "@": "opacity:.65",
    "name": "font-weight:bold",
}


def coloured(diff: str) -> SafeString:
    """The diff as HTML, whatever HTML is in it; no more than its first 2,000 lines."""
    lines = diff.rstrip("\n").split("\n")
    more = len(lines) - MOST_LINES
    rest = format_html("<p>{} more lines are not shown.</p>", more) if more > 0 else ""
    # Each with its line end, without which an empty one would have no height.
    body = format_html_join("", '<span style="display:block;{}">{}\n</span>', _styled(lines[:MOST_LINES]))
    pre = '<pre style="margin:0;color:inherit;white-space:pre-wrap;overflow-wrap:anywhere">{}</pre>{}'
    return format_html(pre, body, rest)


def _styled(lines: list[str]) -> Iterator[tuple[str, str]]:
    """(style, line) of each."""
    heads = {at for at in range(len(lines)) if _is_head(lines[at : at + 3])}
    for at, line in enumerate(lines):
        kind = "name" if at in heads or at - 1 in heads else line[:1]
        yield STYLES.get(kind, ""), line


def _is_head(lines: list[str]) -> bool:
    return len(lines) == 3 and all(line.startswith(mark) for line, mark in zip(lines, HEAD, strict=True))
