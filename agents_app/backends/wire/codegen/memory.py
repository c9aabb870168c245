"""What the Codegen backend remembers of a conversation, and of a run that it has not seen the end of."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ...base import Json, Request
from .run import Run, digest


@dataclass(frozen=True, slots=True)
class Pending:
    """A run that was asked for by a task. `run_id` is None while the answer to that is not known."""

    task_id: str
    run_id: int | None = None
    lines: int = 0


@dataclass(frozen=True, slots=True)
class Memory:
    """The conversation's run, by what its last answer is known again, and how many lines of its log were told.

    Kept as `{"runId", "said", "lines", "pending": {"taskId", "runId", "lines"}}`, each where there is one.
    """

    run_id: int | None = None
    said: str = ""
    lines: int = 0
    pending: Pending | None = None

    @classmethod
    def of(cls, request: Request) -> "Memory":
        """What the last attempt or request kept."""
        kept = request.memory
        pending = kept.get("pending")
        return cls(
            run_id=_whole(kept.get("runId")),
            said=str(kept.get("said") or ""),
            lines=_whole(kept.get("lines")) or 0,
            pending=_pending(pending) if isinstance(pending, Mapping) else None,
        )

    def left_at_work(self, task_id: str) -> bool:
        """Whether the conversation's run was told something whose answer nobody has seen, for another task."""
        waits = self.pending
        return waits is not None and waits.run_id == self.run_id and waits.task_id != task_id

    def waiting(self, task_id: str, run_id: int | None = None, lines: int = 0) -> "Memory":
        """The same, and that this task waits for that run."""
        return replace(self, pending=Pending(task_id, run_id, lines))

    def after(self, run: Run, lines: int, *, joins: bool) -> "Memory":
        """What is kept once a run has ended; `joins` where it belongs to the conversation."""
        if not joins:
            return replace(self, pending=None)
        # Nobody knows whether a run that failed can go on: the next request starts another and tells it everything.
        return Memory() if run.failed else Memory(run.id, digest(run.content), lines)

    def public(self) -> dict[str, Json]:
        """As it is stored."""
        kept: dict[str, Json] = {}
        if self.run_id is not None:
            kept = {"runId": self.run_id, "said": self.said, "lines": self.lines}
        if self.pending is not None:
            waits = {"taskId": self.pending.task_id, "runId": self.pending.run_id, "lines": self.pending.lines}
            kept["pending"] = {name: value for name, value in waits.items() if value is not None}
        return kept


def _pending(kept: Mapping[str, Json]) -> Pending:
    return Pending(str(kept.get("taskId") or ""), _whole(kept.get("runId")), _whole(kept.get("lines")) or 0)


def _whole(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
