"""A reporter that keeps what it was told, and decides as a test has written down."""

import asyncio
from collections.abc import Mapping
from typing import Any

from agents_app.backends.base import Decision, Question


class Recorder:
    """What a running backend told. Questions get the scripted `decisions` in turn; one too many waits for ever."""

    def __init__(self, *decisions: Decision) -> None:
        self.deltas: list[str] = []
        self.steps: list[tuple[float, str]] = []
        self.lines: list[str] = []
        self.memories: list[dict[str, Any]] = []
        self.questions: list[Question] = []
        self.first = asyncio.Event()
        self.asked = asyncio.Event()
        self._decisions = list(decisions)

    @property
    def text(self) -> str:
        """The answer as far as it was streamed."""
        return "".join(self.deltas)

    @property
    def everything(self) -> str:
        """All that was told, for what must not be in it; what ran over two deltas is in one piece."""
        notes = [note for _, note in self.steps]
        return "\n".join([self.text, *notes, *self.lines, *map(repr, self.memories), *map(repr, self.questions)])

    def delta(self, text: str) -> None:
        """Keep a piece of the answer."""
        self.deltas.append(text)
        self.first.set()

    def progress(self, fraction: float, note: str = "") -> None:
        """Keep how far it is."""
        self.steps.append((fraction, note))

    def log(self, line: str) -> None:
        """Keep a line."""
        self.lines.append(line)

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Keep what is to be kept."""
        self.memories.append(dict(memory))

    async def ask(self, question: Question) -> Decision:
        """The next decision that was written down."""
        self.questions.append(question)
        self.asked.set()
        if not self._decisions:
            await asyncio.Event().wait()
        return self._decisions.pop(0)
