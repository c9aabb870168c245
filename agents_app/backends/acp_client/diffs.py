"""Changes to files as unified diffs."""

from collections.abc import Iterable, Sequence
from difflib import unified_diff

from ..wire.chat import shortened
from .tools import Change

LONGEST = 200_000
# Comparing takes the square of this at worst; longer files are shown as replaced.
MOST_LINES = 2_000
NO_END = "\\ No newline at end of file\n"


def unified(changes: Sequence[Change]) -> str | None:
    """The changes in one diff, None where there are none. It takes up to a second, so not on an event loop."""
    return shortened("".join(_of(change) for change in changes), LONGEST) if changes else None


def _of(change: Change) -> str:
    name = change.path.lstrip("/")
    old, new = lines_of(change.old or ""), lines_of(change.new)
    source, target = "/dev/null" if change.old is None else f"a/{name}", f"b/{name}"
    if len(old) + len(new) > MOST_LINES:
        return "".join([f"--- {source}\n+++ {target}\n", *_replaced(old, new)])
    return "".join(_ended(unified_diff(old, new, source, target)))


def _replaced(old: Sequence[str], new: Sequence[str]) -> Iterable[str]:
    yield f"@@ -{_span(old)} +{_span(new)} @@\n"
    yield from _ended(f"-{line}" for line in old)
    yield from _ended(f"+{line}" for line in new)


def _span(lines: Sequence[str]) -> str:
    return f"{1 if lines else 0},{len(lines)}"


def lines_of(text: str) -> list[str]:
    """The lines with their ends; only a line feed ends one, and the last may have none."""
    return [line + "\n" for line in text.split("\n")[:-1]] + ([last] if (last := text.rpartition("\n")[2]) else [])


def _ended(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        yield line
        if not line.endswith("\n"):
            yield "\n" + NO_END
