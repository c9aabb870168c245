"""An organization's log in memory, and clients that read what they are told only when they are told to."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from taskmaster.api.following import Follow
from taskmaster.events import items
from taskmaster.events.catalogue import EVENT_TYPES
from taskmaster.events.feed import Log
from taskmaster.events.items import AT_MOST, Item

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
    """The log: what is in it, how often it was read, and whether it can be."""

    def __init__(self, monkeypatch: Any) -> None:
        self.items: list[Item] = []
        self.reads, self.broken = 0, False
        monkeypatch.setattr(items, "after", self.after)

    def write(self, count: int, **fields: Any) -> None:
        """The next events."""
        last = self.items[-1].sequence if self.items else 0
        self.items += [item(sequence, **fields) for sequence in range(last + 1, last + count + 1)]

    def after(self, org_id: str, sequence: int) -> list[Item]:
        """As `items.after`."""
        assert org_id == ORG
        self.reads += 1
        if self.broken:
            raise OSError("no database")
        return [each for each in self.items if each.sequence > sequence][:AT_MOST]

    def log(self, head: int = 0) -> Log:
        """The log as a process follows it."""
        return Log(ORG, head, _at_once)


async def _at_once(call: Callable[[], Any]) -> Any:
    await asyncio.sleep(0)
    return call()


async def settled(look: Callable[[], bool]) -> None:
    """Return once it is so."""
    async with asyncio.timeout(5):
        while not look():
            await asyncio.sleep(0)
