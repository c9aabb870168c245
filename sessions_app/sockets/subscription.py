"""What a socket wants to hear of the event log, and how it is told."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from taskmaster.core.errors import BadRequest
from taskmaster.events.items import Item
from taskmaster.events.matching import Matcher, matches

from .frames import encoded

MOST_WISHES = 100
FILTERS = ("sessionId", "taskId", "workflowId")


class Sink(Protocol):
    """Where a socket's frames go, past everything that would encode them again for each socket."""

    def write_frames(self, frames: bytes) -> bool:
        """Write whole frames; False where the client is behind. Raises ConnectionError on a closed one."""
        ...

    async def room(self) -> None:
        """Return once there is room, or nobody to write to."""
        ...

    @property
    def can_send(self) -> bool:
        """Whether anybody can be told anything."""
        ...


@dataclass(frozen=True, slots=True)
class Wish:
    """Events of these types after `since`, and, with a filter, only those about one thing."""

    wanted: Matcher
    since: int
    about: dict[str, str] = field(default_factory=dict)

    def holds(self, item: Item) -> bool:
        """Whether it asks for this event."""
        if item.sequence <= self.since or item.event_type not in self.wanted.types:
            return False
        return not self.about or all(item.about.get(name) == value for name, value in self.about.items())

    def covers(self, other: "Wish") -> bool:
        """Whether the other asks for nothing that this one does not."""
        same = not self.about or self.about == other.about
        return same and other.wanted.types <= self.wanted.types and self.since <= other.since

    def without(self, types: frozenset[str]) -> "Wish":
        """The same without these types; a pattern that loses some of its types becomes the names of the rest."""
        left = self.wanted.types - types
        kept = [name for name in self.wanted.names if matches([name]).types <= left]
        covered = frozenset[str]().union(*(matches([name]).types for name in kept))
        return replace(self, wanted=Matcher((*kept, *sorted(left - covered)), left))


class Subscription:
    """A subscriber of the feed: the wishes of one socket. What it was told once it is never told again."""

    # The last batch that somebody without filters was told, for the next one who wants the same of it.
    _told: tuple[list[Item], frozenset[str], bytes] = ([], frozenset(), b"")

    def __init__(self, org_id: str, sink: Sink) -> None:
        self.org_id, self.cursor = org_id, 0
        self.wishes: list[Wish] = []
        self._sink = sink

    @property
    def names(self) -> list[str]:
        """What it has asked for, each name once."""
        return list(dict.fromkeys(name for wish in self.wishes for name in wish.wanted.names))

    def add(self, wish: Wish) -> None:
        """Wish for more. Whoever wants older events has the cursor go back; the older wishes hear nothing twice.

        Raises BadRequest past MOST_WISHES.
        """
        if any(old.covers(wish) for old in self.wishes):
            return
        if len(self.wishes) >= MOST_WISHES:
            raise BadRequest(f"A socket has at most {MOST_WISHES} subscriptions.")
        if not self.wishes:
            self.cursor = wish.since
        elif wish.since < self.cursor:
            self.wishes = [replace(old, since=max(old.since, self.cursor)) for old in self.wishes]
            self.cursor = wish.since
        self.wishes.append(wish)

    def remove(self, types: frozenset[str]) -> None:
        """Wish for none of these any more."""
        left = (wish.without(types) for wish in self.wishes)
        self.wishes = [wish for wish in left if wish.wanted.types]

    def take(self, found: list[Item]) -> bool:
        """Send what is wanted of these."""
        frames = self._frames(found)
        self.cursor = found[-1].sequence
        return self._sink.write_frames(frames) if frames else True

    def _frames(self, found: list[Item]) -> bytes:
        simple = len(self.wishes) == 1 and not self.wishes[0].about and self.wishes[0].since < found[0].sequence
        if not simple:
            return b"".join(wire(item) for item in found if any(wish.holds(item) for wish in self.wishes))
        types = self.wishes[0].wanted.types
        batch, same, frames = Subscription._told
        if batch is not found or same != types:
            frames = b"".join(wire(item) for item in found if item.event_type in types)
            Subscription._told = (found, types, frames)
        return frames

    async def room(self) -> None:
        """Wait for the client to read. Raises ConnectionError where it has gone."""
        await self._sink.room()
        if not self._sink.can_send:
            raise ConnectionError

    def gap(self) -> None:
        """Say that events are missing."""
        self._sink.write_frames(framed(encoded({"type": "gap", "after": self.cursor}).encode()))


def wire(item: Item) -> bytes:
    """The event's frame as it goes over the wire, made once for all sockets."""
    if not item.wire:
        item.wire = framed(item.frame)
    return item.wire


def framed(payload: bytes) -> bytes:
    """A text frame of a server (RFC 6455, 5.2): whole, and not masked."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def wish_of(events: Iterable[str], since: int, about: dict[str, Any]) -> Wish:
    """A wish as a client words it. Raises UnknownTypes."""
    return Wish(matches(events), since, about)
