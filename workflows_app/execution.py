"""Steps that need to execute code: what is claimed of a run, and what may be believed."""

from collections.abc import Mapping
from typing import Any


def believable(result: Mapping[str, Any], *, able: bool) -> dict[str, Any]:
    """The result of such a step, with `executed`: true only where the agent can run code and says that it did.

    Of tests that were not run, nothing is told but what was expected of them: their `passed` becomes null.
    """
    found = result.get("json")
    told = found if isinstance(found, dict) else {}
    claim = result.get("executed", told.get("executed"))
    if able and claim is True:
        return {**result, "executed": True}
    mended = {"json": _not_run(told)} if told else {}
    return {**result, **mended, "executed": False}


def _not_run(told: Mapping[str, Any]) -> dict[str, Any]:
    tests = told.get("tests")
    if not isinstance(tests, list):
        return {**told, "executed": False}
    return {**told, "executed": False, "tests": [_untold(test) for test in tests]}


def _untold(test: Any) -> Any:
    return {**test, "passed": None} if isinstance(test, dict) else test
