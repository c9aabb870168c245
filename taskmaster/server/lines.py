"""Waits for what only one of them can have: a signal wakes the one that has waited longest, and not all of them."""

from collections import deque
from typing import Protocol

from taskmaster.api.waits import Wait
from taskmaster.core.wakeups import hub


class Waiting(Protocol):
    """One that waits: `looking` while it is away to see whether what it waits for is there."""

    looking: bool

    def set(self) -> None:
        """Wake it."""

    def is_set(self) -> bool:
        """Whether it was woken and has not gone to look yet."""
        ...


class Line:
    """Those that wait for one key, oldest first."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._waiting: deque[Waiting] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, one: Waiting, wait: Wait) -> None:
        """Wait at the end; a signal that came since the wait began is not lost."""
        if not self._waiting:
            hub.listen(self._key, self.wake, since=wait.since)
        self._waiting.append(one)
        if hub.heard_since(self._key, wait.since):
            one.set()

    def leave(self, one: Waiting, *, content: bool) -> None:
        """Go away; whoever got something, or was woken and did not look, wakes the next one."""
        self._waiting.remove(one)
        if not self._waiting:
            hub.unlisten(self._key, self.wake)
        elif content or one.is_set():
            self.wake()

    def wake(self, _: object = None) -> None:
        """Wake the first that is not awake; where all are, the first looks once more."""
        asleep = (one for one in self._waiting if not one.looking and not one.is_set())
        one = next(asleep, self._waiting[0] if self._waiting else None)
        if one is not None:
            one.set()
