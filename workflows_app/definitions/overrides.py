"""`stepData`: what a workflow changes about the steps of its template. The same rules hold as for the template."""

from collections.abc import Mapping, Sequence
from typing import Any

from .edges import check_mentions
from .findings import Findings, Place, Problem
from .members import EITHER, FIXED
from .steps import Step, read_step

PATH = "workflowData.stepData"


def check_overrides(steps: Sequence[Step], step_data: Mapping[str, Any], path: str = PATH) -> list[Problem]:
    """What is wrong with the overrides of these valid steps."""
    return with_overrides(steps, step_data, path)[1]


def with_overrides(
    steps: Sequence[Step], step_data: Mapping[str, Any], path: str = PATH
) -> tuple[list[Step], list[Problem]]:
    """The steps with their overrides, and what is wrong with these.

    Everything but `id`, `type` and `dependsOn` may be overridden; of a `foreach`, its inner step's members too. What
    is no member of the step is data for its prompts, and none of our business.
    """
    findings = Findings()
    known = {step["id"] for step in steps}
    for id in step_data:
        if id not in known:
            Place(path, findings).at(id[:64]).wrong(f"the template has no step {id[:64]!r}")
    found = [_overridden(step, step_data.get(step["id"]), Place(path, findings, step["id"])) for step in steps]
    if not findings.problems:
        check_mentions(found, findings)
    return found, findings.problems


def _overridden(step: Step, override: Any, place: Place) -> Step:
    if override is None:
        return step
    if not isinstance(override, dict):
        place.at(step["id"]).wrong("must be an object")
        return step
    return read_step(_merged(step, override), place.at(step["id"]))


def _merged(step: Step, override: Mapping[str, Any]) -> Step:
    merged = step | {name: value for name, value in override.items() if name not in FIXED}
    either = EITHER.get(step["type"], ())
    if any(name in override for name in either):
        # The new one takes the old one's place, whichever of the two that was.
        merged = {name: value for name, value in merged.items() if name not in either or name in override}
    if isinstance(step.get("step"), dict) and isinstance(override.get("step"), dict):
        merged["step"] = step["step"] | override["step"]
    return merged
