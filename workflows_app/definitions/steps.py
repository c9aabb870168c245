"""Reads a template's steps: what each of them says, and whether they fit together."""

from typing import Any

import orjson

from .edges import check_edges, check_mentions
from .findings import Findings, Place, Problem
from .members import EITHER, MOST_STEPS, members_of
from .readers import members

MAX_BYTES = 262_144

# A step as it is stored and shown: the API's members, defaults filled in.
Step = dict[str, Any]


def check_steps(steps: Any) -> list[Problem]:
    """What is wrong with a template's steps; nothing where they are valid."""
    return read_steps(steps)[1]


def read_steps(steps: Any, path: str = "steps") -> tuple[list[Step], list[Problem]]:
    """The steps as they are stored, with their defaults, and what is wrong with them.

    Members that a step of its type does not have are left out.
    """
    findings = Findings()
    place = Place(path, findings)
    if not isinstance(steps, list) or not steps:
        place.wrong("must be a list of steps, and not empty" if steps != [] else "may not be empty")
    elif len(steps) > MOST_STEPS:
        place.wrong(f"may have at most {MOST_STEPS} steps")
    elif len(orjson.dumps(steps)) > MAX_BYTES:
        place.wrong(f"may have at most {MAX_BYTES // 1024} KB")
    else:
        return _read(steps, place), findings.problems
    return [], findings.problems


def read_step(step: Any, place: Place) -> Step:
    """One step by itself."""
    if not isinstance(step, dict):
        place.wrong("must be an object")
        return {}
    found = members(step, members_of(step.get("type")), place)
    either = EITHER.get(str(step.get("type")), ())
    if either and sum(name in found for name in either) != 1:
        place.wrong(f"must have exactly one of {' and '.join(either)}")
    return found


def _read(steps: list[Any], place: Place) -> list[Step]:
    found = [read_step(step, _place_of(step, place.at(index))) for index, step in enumerate(steps)]
    check_edges(found, place)
    # Only of steps that fit together can one say what comes before what.
    if place.findings.problems:
        return []
    check_mentions(found, place.findings)
    return [step | {"dependsOn": list(dict.fromkeys(step["dependsOn"]))} for step in found]


def _place_of(step: Any, place: Place) -> Place:
    return Place(place.path, place.findings, str(step.get("id")) if isinstance(step, dict) else "")
