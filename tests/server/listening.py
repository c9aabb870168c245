"""An organization's log in memory, and clients that read what they are told only when they are told to."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from taskmaster.api.following import Follow
from taskmaster.core.wakeups import hub
from taskmaster.events import feed as feeds
from taskmaster.events.catalogue import EVENT_TYPES
from taskmaster.events.feed import Feed
from taskmaster.events.items import AT_MOST, Item
from taskmaster.events.relay import KEY

ORG = "org_1"
MOMENT = datetime(2024, 1, 1, 12, 0, 0, 250_000, UTC)


def item(sequence: int, event_type: str = "session.expired", data: str = '{"sessionId":"s"}') -> Item:
    """An event as it is read from the log."""
    return Item(sequence, event_type, f"evt_{sequence}", MOMENT, data)


def follow(after: int = 0, types: frozenset[str] = EVENT_TYPES, **about: str) -> Follow:
    """What a client follows: everything, unless it says what."""
    return Follow(org_id=ORG, token_id="tok_1", types=types, about=about, after=after, newest=after)


class Client:
    """The sink of one client, who is behind as soon as `most` bytes are unread."""

    def __init__(self, most: float = float("inf")) -> None:
        self.heard, self.parts, self.gone = b"", 0, False
        self._most, self._unread = most, 0
        self._room = asyncio.Event()

    @property
    def is_behind(self) -> bool:
        return self._unread > self._most

    def write_part(self, part: bytes) -> bool:
        if self.gone:
            return False
        self.heard += part
        self.parts += 1
        self._unread += len(part)
        return not self.is_behind

    def read(self) -> None:
        """Read everything."""
        self._unread = 0
        self._room.set()

    def leave(self) -> None:
        """Go away."""
        self.gone = True
        self._room.set()

    async def room(self) -> None:
        while self.is_behind and not self.gone:
            self._room.clear()
            await self._room.wait()
        if self.gone:
            raise ConnectionError

    @property
    def sequences(self) -> list[int]:
        """Of the events it was told, in that order."""
        blocks = [block.split(b"\n") for block in self.heard.split(b"\n\n")]
        return [int(block[0].removeprefix(b"id: ")) for block in blocks if len(block) == 3]


class Book:
    """The log, as a feed reads it."""

    def __init__(self) -> None:
        self.items: list[Item] = []

    def write(self, count: int, **fields: Any) -> None:
        """The next events."""
        last = self.items[-1].sequence if self.items else 0
        self.items += [item(sequence, **fields) for sequence in range(last + 1, last + count + 1)]

    async def news(self, org_id: str, after: int) -> list[Item]:
        await asyncio.sleep(0)
        return [each for each in self.items if each.sequence > after][:AT_MOST]

    past = news

    async def newest(self, org_ids: list[str]) -> dict[str, int]:
        return {ORG: self.items[-1].sequence} if self.items else {}


@contextmanager
def feeding(book: Book) -> Iterator[Feed]:
    """A feed of this log alone, which looks for news all the time."""
    looked, feeds.LOOK_SECONDS = feeds.LOOK_SECONDS, 0.001
    feed = Feed(book)
    try:
        yield feed
    finally:
        feeds.LOOK_SECONDS = looked
        hub.unlisten(KEY, feed._signalled)


async def settled(look: Callable[[], bool]) -> None:
    """Return once it is so."""
    async with asyncio.timeout(5):
        while not look():  # noqa: ASYNC110 - nothing in the product tells that it has done nothing more
            await asyncio.sleep(0.001)
