"""A socket's place in the event log."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from taskmaster.core.errors import BadRequest
from taskmaster.events.items import Item

from .frames import framed, wire
from .sink import Sink
from .wishes import Wish

MOST_WISHES = 100
# Written at once; then it is seen whether the client still reads.
PORTION = 16 * 1024

# The frames of some events, and the sequence up to which they are told then.
Portion = tuple[int, bytes]


class Subscription:
    """A subscriber of the feed: the wishes of one socket, of which each event is told once, in order.

    Whoever asks for events after an earlier sequence is told of all of them from there on, of those that it has been
    told of before as well; its other wishes hear nothing twice.
    """

    # The last batch, cut up for somebody without filters, for the next one who wants the same of it.
    _shared: tuple[list[Item], frozenset[str], list[Portion]] = ([], frozenset(), [])

    def __init__(self, org_id: str, sink: Sink) -> None:
        self.org_id, self.cursor = org_id, 0
        self.wishes: list[Wish] = []
        self._types = frozenset[str]()
        self._sink = sink

    @property
    def names(self) -> list[str]:
        """What it has asked for, each name once."""
        return list(dict.fromkeys(name for wish in self.wishes for name in wish.wanted.names))

    def begins_at(self, newest: int) -> int:
        """The sequence after which a wish hears of what comes from now on, the log's last one being `newest`."""
        return max(newest, self.cursor) if self.wishes else newest

    def add(self, wish: Wish) -> None:
        """Wish for more. Raises BadRequest past MOST_WISHES."""
        old = self.wishes
        if not old:
            self.cursor = wish.since
        elif wish.since < self.cursor:
            old = [replace(one, since=max(one.since, self.cursor)) for one in old]
            self.cursor = wish.since
        elif any(one.is_like(wish) and one.since <= wish.since for one in old):
            return
        self._wish([*(one for one in old if not one.is_like(wish)), wish])

    def insist_on_room(self) -> None:
        """Raises BadRequest where no wish can be added any more."""
        if len(self.wishes) >= MOST_WISHES:
            raise BadRequest(f"A socket has at most {MOST_WISHES} subscriptions.")

    def remove(self, types: frozenset[str], about: Mapping[str, str]) -> None:
        """Wish for none of these any more; with a filter, only the wishes with just that one do."""
        left = (wish if about and wish.about != about else wish.without(types) for wish in self.wishes)
        self._wish([wish for wish in left if wish.wanted.types])

    def _wish(self, wishes: list[Wish]) -> None:
        self.wishes = wishes
        self._types = frozenset[str]().union(*(wish.wanted.types for wish in wishes))

    def wants_live(self, event_type: str, about: Mapping[str, Any]) -> bool:
        """Whether it wants what is not in the log."""
        if event_type not in self._types:
            return False
        return any(event_type in wish.wanted.types and wish.concerns(about) for wish in self.wishes)

    def take(self, found: list[Item]) -> bool:
        """Send what is wanted of these, as far as there is room."""
        for last, frames in self._portions(found):
            room = self._sink.write_frames(frames) if frames else True
            self.cursor = last
            if not room:
                return False
        return True

    def _portions(self, found: list[Item]) -> Iterable[Portion]:
        if any(wish.about or wish.since >= found[0].sequence for wish in self.wishes):
            return _portions(found, self._holds)
        batch, types, portions = Subscription._shared
        if batch is not found or types != self._types:
            portions = list(_portions(found, lambda item: item.event_type in self._types))
            Subscription._shared = found, self._types, portions
        return portions

    def _holds(self, item: Item) -> bool:
        return any(wish.holds(item) for wish in self.wishes)

    async def room(self) -> None:
        """Wait for the client to read. Raises ConnectionError where it has gone."""
        await self._sink.room()
        if not self._sink.can_send:
            raise ConnectionError

    def gap(self) -> None:
        """Say that events are missing."""
        self._sink.write_frames(wire({"type": "gap", "after": self.cursor}))


def _portions(found: list[Item], wanted: Callable[[Item], bool]) -> Iterator[Portion]:
    frames: list[bytes] = []
    size = 0
    for item in found:
        if wanted(item):
            frames.append(_wire(item))
            size += len(frames[-1])
        if size >= PORTION:
            yield item.sequence, b"".join(frames)
            frames, size = [], 0
    yield found[-1].sequence, b"".join(frames)


def _wire(item: Item) -> bytes:
    """The event's frame as it goes over the wire, made once for all sockets."""
    if not item.wire:
        item.wire = framed(item.frame)
    return item.wire
