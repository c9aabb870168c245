"""A task's log: bounded, and written in batches."""

from collections.abc import Iterable

from .models import LogLine, Task

LONGEST_LINE = 10_000
MOST_LINES = 10_000
CUT = "The log is full; what follows is not kept."


def write(task: Task, lines: Iterable[str]) -> None:
    """Append lines, oldest first; past the bound one line says that no more are kept."""
    stored = LogLine.objects.filter(task=task.pk).count()
    room = MOST_LINES - stored
    found = [_clean(line) for line in lines]
    kept = found[: max(0, room)]
    if 0 <= room < len(found):
        kept.append(CUT)
    LogLine.objects.bulk_create([LogLine(task_id=task.pk, attempt=task.attempts, text=line) for line in kept])


def _clean(line: str) -> str:
    """As a database can keep it."""
    sane = line.replace("\0", "�").encode(errors="replace").decode()
    return sane if len(sane) <= LONGEST_LINE else sane[: LONGEST_LINE - 1] + "…"
