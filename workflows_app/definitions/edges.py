"""Whether the steps of a template fit together: ids, dependencies, and whose results they look at."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .findings import Findings, Mention, Place

NAMED = 12
Needs = Mapping[str, Sequence[str]]


def check_edges(steps: Sequence[dict[str, Any]], place: Place) -> None:
    """Say which ids stand twice, which dependencies are unknown, and where the steps go in a circle."""
    _check_ids(steps, place)
    known = {step["id"] for step in steps if isinstance(step.get("id"), str)}
    for at, step in enumerate(steps):
        for index, needed in enumerate(step.get("dependsOn", [])):
            if isinstance(needed, str) and needed not in known:
                place.at(at).at("dependsOn").at(index).wrong(f"there is no step {needed!r}")
    if not place.findings.problems:
        _check_circle(steps, place)


def check_mentions(steps: Sequence[dict[str, Any]], findings: Findings) -> None:
    """Say which results are looked at that do not exist, or may not be there yet."""
    needs = needs_of(steps)
    before: dict[str, set[str]] = {}
    for mention in findings.mentions:
        if mention.step not in needs:
            mention.place.wrong(f"there is no step {mention.step!r} (line {mention.line}){_hint(mention, needs)}")
            continue
        if mention.by not in before:
            before[mention.by] = _before(mention.by, needs)
        if mention.step not in before[mention.by]:
            mention.place.wrong(
                f"{mention.step!r} may not have ended by then (line {mention.line}): this step does not depend on it"
            )


def needs_of(steps: Sequence[dict[str, Any]]) -> Needs:
    """Of each step, by id, what it depends on."""
    return {step["id"]: step.get("dependsOn") or [] for step in steps}


def _check_ids(steps: Sequence[dict[str, Any]], place: Place) -> None:
    first: dict[Any, int] = {}
    for at, step in enumerate(steps):
        id = step.get("id")
        if isinstance(id, str) and first.setdefault(id, at) != at:
            place.at(at).at("id").wrong(f"steps[{first[id]}] has the id {id!r} already")


def _check_circle(steps: Sequence[dict[str, Any]], place: Place) -> None:
    circle = _circle(needs_of(steps))
    if circle:
        at = next(index for index, step in enumerate(steps) if step["id"] in circle)
        turned = circle.index(steps[at]["id"])
        ids = circle[turned:] + circle[:turned]
        named = [*ids[:NAMED], *(["…"] if len(ids) > NAMED else []), ids[0]]
        place.at(at).at("dependsOn").wrong(f"a circle: {' → '.join(named)}")


def _circle(needs: Needs) -> list[str]:
    """The ids of steps each of which depends on the next, and the last on the first; none where there is no circle."""
    done: set[str] = set()
    for start in needs:
        # The way from `start` to where we are, each with what of it is still to be looked at.
        way: dict[str, Iterator[str]] = {} if start in done else {start: iter(needs[start])}
        while way:
            here = next(reversed(way))
            ahead = next((id for id in way[here] if id not in done), None)
            if ahead is None:
                done.add(here)
                del way[here]
            elif ahead in way:
                ids = list(way)
                return ids[ids.index(ahead) :]
            else:
                way[ahead] = iter(needs[ahead])
    return []


def _before(id: str, needs: Needs) -> set[str]:
    """All that has ended when this step starts."""
    found: set[str] = set()
    left = list(needs[id])
    while left:
        needed = left.pop()
        if needed not in found:
            found.add(needed)
            left.extend(needs[needed])
    return found


def _hint(mention: Mention, needs: Needs) -> str:
    """`steps.my-step` is a subtraction."""
    meant = next((id for id in needs if id.startswith(f"{mention.step}-")), None)
    return f"; an id with a hyphen is written steps[{meant!r}]" if meant else ""
