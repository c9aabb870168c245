"""The newest events of a log, in memory."""

from collections import deque

from .items import Item

# What a subscriber that is only a moment behind finds here, and need not read again.
MOST, MOST_SIZE = 1_000, 1024 * 1024


class Kept:
    """At most so many, and no more than about so large together."""

    def __init__(self, most: int = MOST, most_size: int = MOST_SIZE) -> None:
        self._most, self._most_size = most, most_size
        self._items: deque[Item] = deque()
        self._size = 0

    def __len__(self) -> int:
        return len(self._items)

    def extend(self, found: list[Item]) -> None:
        """Keep these, which come after all others; the oldest give way."""
        self._items.extend(found)
        self._size += sum(len(item.data) for item in found)
        while self._items and (len(self._items) > self._most or self._size > self._most_size):
            self._size -= len(self._items.popleft().data)

    def after(self, cursor: int, at_most: int) -> list[Item]:
        """The next ones; nothing where what comes first after the cursor is not here."""
        if not self._items or self._items[0].sequence > cursor + 1:
            return []
        found = [item for item in self._items if item.sequence > cursor]
        return found[:at_most]
