"""The requests that wait for something, held by the event loop alone."""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from taskmaster.api.waits import Wait
from taskmaster.core.wakeups import hub

from .lines import Line

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0
SWEEP_AT_ONCE = 500

InPool = Callable[..., Awaitable[Any]]
Ended = Callable[[list[str]], set[str]]


class Gone(asyncio.Event):
    """Set when a wait may be over; `left` where that is because its client went away, `content` once it has its answer.

    `looking` is while somebody sees whether the answer is there.
    """

    left = looking = content = False

    def leave(self) -> None:
        """The client went away."""
        self.left = True
        self.set()


class Holding:
    """All waits of this process. One sweep a second looks, for all of them, whether a signal was lost."""

    def __init__(self, in_pool: InPool) -> None:
        self._in_pool = in_pool
        self._waits: defaultdict[Ended, Counter[str]] = defaultdict(Counter)
        self._count = 0
        self._lines: dict[str, Line] = {}
        self._ends: set[asyncio.Event] = set()
        self._sweeping: asyncio.Task[None] | None = None
        self.closing = False

    def __len__(self) -> int:
        return self._count

    def guard(self, extension: dict[str, Any]) -> Gone:
        """An event that is set when the client goes away or the server wants to end."""
        gone = Gone()
        if "on_disconnect" in extension:
            extension["on_disconnect"](gone.leave)
        return gone

    @contextmanager
    def listening(self, wait: Wait, gone: Gone) -> Iterator[None]:
        """Set `gone` at each signal of the wait that is for it, for as long as the block runs."""
        if wait.alone:
            with self._in_line(wait, gone), self.entered(wait, gone):
                yield
            return

        def signalled(_: Any) -> None:
            gone.set()

        hub.listen(wait.key, signalled)
        try:
            with self.entered(wait, gone):
                yield
        finally:
            hub.unlisten(wait.key, signalled)

    @contextmanager
    def _in_line(self, wait: Wait, gone: Gone) -> Iterator[None]:
        line = self._lines.setdefault(wait.key, Line(wait.key))
        line.join(gone, wait)
        try:
            yield
        finally:
            line.leave(gone, content=gone.content)
            if not line:
                self._lines.pop(wait.key, None)

    async def signal(self, gone: Gone, deadline: float) -> bool:
        """Wait for the next signal; False where the time is over, or the server ends."""
        gone.looking = False
        try:
            async with asyncio.timeout_at(deadline):
                await gone.wait()
        except TimeoutError:
            return False
        finally:
            gone.looking = True
        gone.clear()
        return not self.closing

    @contextmanager
    def entered(self, wait: Wait, gone: asyncio.Event) -> Iterator[None]:
        """Count a wait, look after it, and end it with the server, for as long as the block runs."""
        self._enter(wait, gone)
        try:
            yield
        finally:
            self._leave(wait, gone)

    def _enter(self, wait: Wait, gone: asyncio.Event) -> None:
        self._count += 1
        self._waits[wait.ended][wait.key] += 1
        self._ends.add(gone)
        if self.closing:
            gone.set()
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().create_task(self._sweep_for_ever())

    def _leave(self, wait: Wait, gone: asyncio.Event) -> None:
        self._count -= 1
        self._ends.discard(gone)
        keys = self._waits[wait.ended]
        keys[wait.key] -= 1
        if keys[wait.key] <= 0:
            del keys[wait.key]

    def release(self) -> None:
        """Send everybody what there is: the server ends."""
        self.closing = True
        for gone in list(self._ends):
            gone.set()

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                for ended, keys in list(self._waits.items()):
                    await self._sweep(ended, list(keys))
            except Exception as error:
                logger.warning("waits not swept: %s", type(error).__name__)

    async def _sweep(self, ended: Ended, keys: list[str]) -> None:
        for start in range(0, len(keys), SWEEP_AT_ONCE):
            some = keys[start : start + SWEEP_AT_ONCE]
            found = await self._in_pool(lambda some=some: ended(some))
            hub.hear([[key, None] for key in found])
