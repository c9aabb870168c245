"""An agent that cannot run code answers `executed: false`, never a pretence."""

import pytest

from workflows_app.execution import believable

CLAIM = {"executed": True, "tests": [{"name": "x", "expected": "1", "passed": True}, "odd"], "note": "n"}


def test_an_agent_that_runs_code_is_believed():
    result = {"content": "c", "json": CLAIM}
    assert believable(result, able=True) == {"content": "c", "json": CLAIM, "executed": True}
    assert believable({"content": "c", "executed": True}, able=True) == {"content": "c", "executed": True}


def test_an_agent_that_cannot_is_not():
    assert believable({"content": "c", "json": CLAIM, "executed": True}, able=False) == {
        "content": "c",
        "json": {"executed": False, "tests": [{"name": "x", "expected": "1", "passed": None}, "odd"], "note": "n"},
        "executed": False,
    }


def test_a_claim_without_tests_is_mended_too():
    found = believable({"json": {"executed": True, "note": "n"}}, able=False)
    assert found == {"json": {"executed": False, "note": "n"}, "executed": False}


@pytest.mark.parametrize("told", [{}, {"executed": False}, {"executed": "yes"}, {"executed": 1}, {"executed": None}])
def test_an_agent_that_could_but_does_not_say_that_it_did_is_not_either(told):
    assert believable({"content": "c", "json": told}, able=True)["executed"] is False
    assert believable({"content": "c", **told}, able=True)["executed"] is False


@pytest.mark.parametrize("found", [None, [], ["x"], "text", 5])
def test_other_json_is_left_as_it_is(found):
    assert believable({"json": found}, able=False) == {"json": found, "executed": False}


def test_the_result_is_not_changed():
    result = {"json": {"executed": True, "tests": [{"passed": True}]}}
    believable(result, able=False)
    assert result == {"json": {"executed": True, "tests": [{"passed": True}]}}
