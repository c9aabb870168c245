"""Which events somebody wants: names of event types, `*` for all, `task.*` for all whose name begins so."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from .catalogue import EVENT_TYPES

SHOWN = 10


class UnknownTypes(ValueError):
    """Names and patterns that mean no event type: `names`."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        told = ", ".join(repr(name[:64]) for name in names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
        super().__init__(f"{told} {'is not an event type' if len(names) == 1 else 'are not event types'}")


@dataclass(frozen=True, slots=True)
class Matcher:
    """The event types that somebody wants: `names` as they were given, each once, and the `types` that they mean."""

    names: tuple[str, ...]
    types: frozenset[str]

    def __contains__(self, event_type: str) -> bool:
        return event_type in self.types


def matches(names: Iterable[str], *, among: frozenset[str] = EVENT_TYPES) -> Matcher:
    """What these names and patterns mean of the types `among`. Raises UnknownTypes if one of them means none."""
    known, given = _meanings(among), tuple(dict.fromkeys(names))
    unknown = [name for name in given if name not in known]
    if unknown:
        raise UnknownTypes(unknown)
    return Matcher(given, frozenset().union(*(known[name] for name in given)))


@cache
def _meanings(among: frozenset[str]) -> dict[str, frozenset[str]]:
    """What each name and pattern there is means: there are few, so that matching is a look into a table."""
    meanings = {name: frozenset({name}) for name in among} | {"*": among}
    for name in among:
        parts = name.split(".")
        for length in range(1, len(parts)):
            stem = ".".join(parts[:length]) + "."
            meanings[f"{stem}*"] = frozenset(other for other in among if other.startswith(stem))
    return meanings
