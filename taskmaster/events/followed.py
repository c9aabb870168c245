"""One organization's log, as a process follows it for all its subscribers."""

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import Coroutine, Iterator
from typing import Any, Protocol

from .items import AT_MOST, Item
from .kept import Kept
from .source import Source

logger = logging.getLogger(__name__)

# A database that is away is asked again after this many seconds.
AGAIN_SECONDS = 1.0


class Subscriber(Protocol):
    """Whoever follows an organization's log."""

    org_id: str
    cursor: int

    def take(self, found: list[Item]) -> bool:
        """Send what is wanted of these, which come after the cursor, and move it as far as it has come.

        False where it is not at their end, or there is no more room.
        """
        ...

    async def room(self) -> None:
        """Return once there is room again; raise ConnectionError where there is nobody to send anything to."""
        ...

    def gap(self) -> None:
        """What comes after the cursor is not in the log any more."""
        ...


class Log:
    """One organization's log, as this process follows it: `head` is how far it has read."""

    def __init__(self, org_id: str, head: int, source: Source) -> None:
        self.org_id, self.head = org_id, head
        self.live: set[Subscriber] = set()
        self.members: dict[Subscriber, asyncio.Task[None]] = {}
        self._source = source
        self._kept = Kept()
        self._newest = head
        self._reading: asyncio.Task[None] | None = None

    def hear(self, newest: int) -> None:
        """There are events up to this one: read what is new, once, and hand it to all who keep up."""
        self._newest = max(self._newest, newest)
        if self.head < self._newest and (self._reading is None or self._reading.done()):
            self._reading = start(self._read())

    async def _read(self) -> None:
        while self.members and self.head < self._newest:
            try:
                found = await self._source.news(self.org_id, self.head)
            except Exception as error:
                logger.warning("events not read: %s", type(error).__name__)
                return  # The next look or signal tries again.
            if not found:
                return
            self._hand_out(found)

    def _hand_out(self, found: list[Item]) -> None:
        self.head = found[-1].sequence
        self._kept.extend(found)
        for subscriber in list(self.live):
            if not _given(subscriber, found):
                self.follow(subscriber)

    def follow(self, subscriber: Subscriber) -> None:
        """It reads by itself until it keeps up."""
        self.live.discard(subscriber)
        self.members[subscriber] = start(self._catch_up(subscriber))

    def leave(self, subscriber: Subscriber) -> None:
        """It follows no more."""
        self.live.discard(subscriber)
        if task := self.members.pop(subscriber, None):
            task.cancel()

    async def _catch_up(self, subscriber: Subscriber) -> None:
        try:
            while not await self._has_caught_up(subscriber):
                pass
        except ConnectionError:
            pass  # Whoever brought it takes it away again.

    async def _has_caught_up(self, subscriber: Subscriber) -> bool:
        await subscriber.room()
        head = self.head
        if subscriber.cursor >= head:
            self.live.add(subscriber)
            return True
        found = self._kept.after(subscriber.cursor, AT_MOST) or await self._past(subscriber.cursor)
        if not found:
            # All up to where the process has read is gone; what came in the meantime is not.
            subscriber.gap()
            subscriber.cursor = head
        else:
            _given(subscriber, found)
        await asyncio.sleep(0)  # The others come in between.
        return False

    async def _past(self, cursor: int) -> list[Item]:
        while True:
            try:
                return await self._source.past(self.org_id, cursor)
            except Exception as error:
                logger.warning("events not read: %s", type(error).__name__)
                await asyncio.sleep(AGAIN_SECONDS)


def _given(subscriber: Subscriber, found: list[Item]) -> bool:
    """Whether it took them all and wants more."""
    # One that came while the others were behind what it had seen already.
    fresh = found if found[0].sequence > subscriber.cursor else [i for i in found if i.sequence > subscriber.cursor]
    try:
        return all(_taken(subscriber, run) for run in _runs(fresh))
    except ConnectionError:
        return False
    except Exception:
        logger.exception("events could not be told")
        with contextlib.suppress(Exception):
            subscriber.gap()
        subscriber.cursor = fresh[-1].sequence  # Not the same again for ever.
        return False


def _taken(subscriber: Subscriber, run: list[Item]) -> bool:
    if run[0].sequence != subscriber.cursor + 1:
        subscriber.gap()
    return subscriber.take(run)


def _runs(found: list[Item]) -> Iterator[list[Item]]:
    """Cut where something is missing between two."""
    start = 0
    if found and found[-1].sequence - found[0].sequence != len(found) - 1:
        for end in range(1, len(found)):
            if found[end].sequence != found[end - 1].sequence + 1:
                yield found[start:end]
                start = end
    if found:
        yield found[start:] if start else found


def start(coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """Run it from now on."""
    # Not in the context of whichever client came first: what goes wrong later is not its doing.
    return asyncio.get_running_loop().create_task(coroutine, context=contextvars.Context())
