"""A log in memory, and subscribers of it that read what they are told only when they are told to."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from taskmaster.core.wakeups import hub
from taskmaster.events import feed as feeds
from taskmaster.events import followed
from taskmaster.events.feed import Feed
from taskmaster.events.items import Item
from taskmaster.events.relay import KEY

ORG = "org_1"
MOMENT = datetime(2024, 1, 1, tzinfo=UTC)
AT_MOST = 5


def item(sequence, size=10):
    """An event as it is read from the log."""
    return Item(sequence, "session.expired", f"evt_{sequence}", MOMENT, '"' + "x" * size + '"')


class Book:
    """The log as a feed reads it, five events at a time; `gate` holds reads up."""

    def __init__(self):
        self.items, self.broken = [], False
        self.news_reads = self.past_reads = 0
        self.gate = asyncio.Event()
        self.gate.set()

    @property
    def last(self):
        """The newest sequence."""
        return self.items[-1].sequence if self.items else 0

    def write(self, count, size=10):
        """The next events."""
        self.items += [item(sequence, size) for sequence in range(self.last + 1, self.last + count + 1)]

    def prune(self, upto):
        """Retention takes the oldest."""
        self.items = [each for each in self.items if each.sequence > upto]

    async def news(self, org_id, after):
        self.news_reads += 1
        await asyncio.sleep(0)
        return self._read(after)

    async def past(self, org_id, after):
        self.past_reads += 1
        found = self._read(after)
        await self.gate.wait()
        return found

    async def newest(self, org_ids):
        if self.broken:
            raise OSError
        return {ORG: self.last, "org_2": 3}

    def _read(self, after):
        if self.broken:
            raise OSError
        return [each for each in self.items if each.sequence > after][:AT_MOST]


class Reader:
    """A subscriber that takes `most` events, and then no more until it has read them."""

    def __init__(self, cursor=0, most=None):
        self.org_id, self.cursor = ORG, cursor
        self.heard, self.gaps, self.batches = [], [], []
        self.gone = False
        self._most, self._unread = most, 0
        self._room = asyncio.Event()
        self._room.set()

    def take(self, found):
        if self.gone:
            raise ConnectionError
        assert found[0].sequence > self.cursor
        self.batches.append(found)
        for each in found:
            self.heard.append(each.sequence)
            self.cursor = each.sequence
            self._unread += 1
            if self._most and self._unread >= self._most:
                self._room.clear()
                return False
        return True

    async def room(self):
        await self._room.wait()
        if self.gone:
            raise ConnectionError

    def gap(self):
        self.gaps.append(self.cursor)

    def read(self):
        """Read everything."""
        self._unread = 0
        self._room.set()

    def leave(self):
        """Its client goes away."""
        self.gone = True
        self._room.set()


@contextmanager
def feeding(book) -> Iterator[Feed]:
    """A feed of this log, which looks for news all the time."""
    looked, feeds.LOOK_SECONDS = feeds.LOOK_SECONDS, 0.002
    again, followed.AGAIN_SECONDS = followed.AGAIN_SECONDS, 0.002
    feed = Feed(book)
    try:
        yield feed
    finally:
        feeds.LOOK_SECONDS, followed.AGAIN_SECONDS = looked, again
        hub.unlisten(KEY, feed._signalled)


async def settled(look):
    """Return once it is so."""
    async with asyncio.timeout(5):
        while not look():  # noqa: ASYNC110 - nothing tells that nothing more will happen
            await asyncio.sleep(0.001)


def told(upto, after=0):
    """These sequences."""
    return list(range(after + 1, upto + 1))
