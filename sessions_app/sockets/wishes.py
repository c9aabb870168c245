"""What a socket wishes to hear of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from taskmaster.events.catalogue import LIVE_TYPES
from taskmaster.events.items import Item
from taskmaster.events.matching import Matcher, matches

FILTERS = ("sessionId", "taskId", "workflowId")


@dataclass(frozen=True, slots=True)
class Wish:
    """Events of these types after `since`, and, with a filter, only those about one thing."""

    wanted: Matcher
    since: int
    about: dict[str, str] = field(default_factory=dict)

    def holds(self, item: Item) -> bool:
        """Whether it asks for this event of the log."""
        if item.sequence <= self.since or item.event_type not in self.wanted.types:
            return False
        return not self.about or self.concerns(item.about)

    def concerns(self, data: Mapping[str, Any]) -> bool:
        """Whether its filter lets such data through."""
        return all(data.get(name) == value for name, value in self.about.items())

    def is_like(self, other: "Wish") -> bool:
        """Whether both ask for the same, be it from another sequence on."""
        return self.wanted == other.wanted and self.about == other.about

    def without(self, types: frozenset[str]) -> "Wish":
        """The same without these types; a pattern that loses some of its types becomes the names of the rest."""
        left = self.wanted.types - types
        kept = [name for name in self.wanted.names if wanted([name]).types <= left]
        covered = wanted(kept).types
        return replace(self, wanted=Matcher((*kept, *sorted(left - covered)), left))


def wanted(names: Iterable[str]) -> Matcher:
    """The types that a client wants; those that are only ever live it has to name. Raises UnknownTypes."""
    given = tuple(dict.fromkeys(names))
    live = frozenset(given) & LIVE_TYPES
    stored = matches(name for name in given if name not in live)
    return Matcher(given, stored.types | live)
