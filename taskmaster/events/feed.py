"""The live end of the event log: one reader for a whole process, and the same bytes for everybody who wants an event.

A subscriber is a cursor in the log. While it keeps up, it is handed what the process reads; where it is slow, or has
just come with an older sequence, it reads from the log by itself until it has caught up. So nobody is ever sent
anything twice or out of order, nothing is queued for anybody, and one that is slow costs the others nothing.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from taskmaster.core.database import keep_healthy
from taskmaster.core.wakeups import hub

from . import items
from .items import Item
from .relay import KEY, WANTED_EVERY, WANTED_KEY

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
# What a subscriber that is only a moment behind finds in memory.
KEPT = 1_000

InPool = Callable[[Callable[[], Any]], Awaitable[Any]]
_pool = ThreadPoolExecutor(2, thread_name_prefix="event-feed")


class Subscriber(Protocol):
    """Whoever follows an organization's log."""

    org_id: str
    cursor: int

    def take(self, found: list[Item]) -> bool:
        """Send what is wanted of these, which come after the cursor, and move it; False where there is no more room."""
        ...

    async def room(self) -> None:
        """Return once there is room again; raise ConnectionError where there is nobody to send anything to."""
        ...

    def gap(self) -> None:
        """What comes after the cursor is not in the log any more."""
        ...


class Log:
    """One organization's log, as this process follows it."""

    def __init__(self, org_id: str, head: int, in_pool: InPool) -> None:
        self.org_id, self.head = org_id, head
        self.live: set[Subscriber] = set()
        self.members: dict[Subscriber, asyncio.Task[None]] = {}
        self._in_pool = in_pool
        self._kept: deque[Item] = deque(maxlen=KEPT)
        self._reading = asyncio.Lock()

    async def advance(self) -> None:
        """Read what is new, once, and hand it to all who keep up."""
        async with self._reading:
            while self.members:
                found: list[Item] = await self._in_pool(lambda: items.after(self.org_id, self.head))
                if not found:
                    return
                self._hand_out(found)
                if len(found) < items.AT_MOST:
                    return

    def _hand_out(self, found: list[Item]) -> None:
        self.head = found[-1].sequence
        self._kept.extend(found)
        for subscriber in list(self.live):
            if not _given(subscriber, found):
                self.fall_behind(subscriber)

    def fall_behind(self, subscriber: Subscriber) -> None:
        """It reads by itself until it keeps up again."""
        self.live.discard(subscriber)
        self.members[subscriber] = asyncio.get_running_loop().create_task(self._catch_up(subscriber))

    async def _catch_up(self, subscriber: Subscriber) -> None:
        while subscriber not in self.live:
            try:
                await subscriber.room()
                await self._bring_on(subscriber)
            except ConnectionError:
                return
            except Exception as error:
                # The database is away: it has missed nothing yet.
                logger.warning("events not read: %s", type(error).__name__)
                await asyncio.sleep(LOOK_SECONDS)

    async def _bring_on(self, subscriber: Subscriber) -> None:
        """One step nearer to the others, or into their midst."""
        found = await self._next(subscriber.cursor)
        if found:
            _given(subscriber, found)
        elif subscriber.cursor == self.head:
            self.live.add(subscriber)
        elif subscriber.cursor > self.head:
            # It is ahead of the others, who then come first.
            await self.advance()
        else:
            subscriber.gap()
            subscriber.cursor = self.head

    async def _next(self, cursor: int) -> list[Item]:
        """What comes after the cursor: of what is remembered, else from the log."""
        if self._kept and self._kept[0].sequence <= cursor + 1:
            return [item for item in self._kept if item.sequence > cursor][: items.AT_MOST]
        found: list[Item] = await self._in_pool(lambda: items.after(self.org_id, cursor))
        return found


def _given(subscriber: Subscriber, found: list[Item]) -> bool:
    if found[0].sequence != subscriber.cursor + 1:
        subscriber.gap()
    try:
        return subscriber.take(found)
    except ConnectionError:
        # The others must not be left out because one has gone.
        return False


class Feed:
    """All that this process follows."""

    def __init__(self, in_pool: InPool) -> None:
        self._in_pool = in_pool
        self._logs: dict[str, Log] = {}
        self._watching: list[asyncio.Task[None]] = []
        self._advancing: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return sum(len(log.members) for log in self._logs.values())

    def join(self, subscriber: Subscriber, newest: int) -> None:
        """Follow its organization's log from its cursor on; `newest` was its last sequence a moment ago (in loop)."""
        self._watch()
        log = self._logs.get(subscriber.org_id)
        if log is None:
            log = self._logs[subscriber.org_id] = Log(subscriber.org_id, newest, self._in_pool)
        log.fall_behind(subscriber)

    def leave(self, subscriber: Subscriber) -> None:
        """Follow it no more; the same again changes nothing (in loop)."""
        log = self._logs.get(subscriber.org_id)
        if log is None:
            return
        task = log.members.pop(subscriber, None)
        log.live.discard(subscriber)
        if task:
            task.cancel()
        if not log.members:
            del self._logs[subscriber.org_id]

    def _watch(self) -> None:
        if self._watching:
            return
        hub.listen(KEY, self._signalled)
        loop = asyncio.get_running_loop()
        self._watching = [loop.create_task(self._look_for_ever()), loop.create_task(self._tell_relays_for_ever())]

    def _signalled(self, newest: dict[str, int]) -> None:
        loop = asyncio.get_running_loop()
        for org_id, sequence in newest.items():
            log = self._logs.get(org_id)
            if log and log.head < sequence:
                task = loop.create_task(self._advance(log))
                self._advancing.add(task)
                task.add_done_callback(self._advancing.discard)

    async def _advance(self, log: Log) -> None:
        try:
            await log.advance()
        except Exception as error:
            logger.warning("events not read: %s", type(error).__name__)

    async def _look_for_ever(self) -> None:
        """Behind every signal: look by itself."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for log in list(self._logs.values()):
                await self._advance(log)

    async def _tell_relays_for_ever(self) -> None:
        while True:
            if self._logs:
                hub.send(WANTED_KEY)
            await asyncio.sleep(WANTED_EVERY)


async def _read(call: Callable[[], Any]) -> Any:
    def run() -> Any:
        try:
            return call()
        finally:
            keep_healthy()

    return await asyncio.get_running_loop().run_in_executor(_pool, run)


feed = Feed(_read)
