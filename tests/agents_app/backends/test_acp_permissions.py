"""Which of an agent's tools a permission mode lets through, what a person is asked, and how the answer is put."""

from typing import Any

import pytest
from acp.schema import PermissionOption

from agents_app.backends.acp_client.permissions import chosen, judge, plain, question
from agents_app.backends.acp_client.tools import Use
from agents_app.backends.base import Decision

from .acp_running import SECRET, Desktop
from .recorder import Recorder

YES, NO = Decision(allowed=True), Decision(allowed=False, reason="not today")
ALWAYS, STOP = Decision(allowed=True, always=True), Decision(allowed=False, reason="enough", on_deny="stop")
OFFERED = ("allow_once", "allow_always", "reject_once", "reject_always")
RUN = {"kind": "execute", "title": "rm -rf", "rawInput": {"command": "rm -rf x"}}


def edit(path: str, new: str = "new\n", old: Any = None) -> dict[str, Any]:
    diff = {"type": "diff", "path": path, "oldText": old, "newText": new}
    return {"kind": "edit", "title": "Edit a.txt", "content": [diff], "locations": [{"path": path}]}


@pytest.mark.parametrize(
    ("mode", "kind", "inside", "verdict"),
    [
        *[("default", kind, True, "ask") for kind in ("read", "edit", "execute", "other")],
        ("acceptEdits", "edit", True, "allow"),
        ("acceptEdits", "edit", False, "ask"),
        *[("acceptEdits", kind, True, "ask") for kind in ("delete", "move", "execute", "fetch", "other")],
        *[("plan", kind, True, "reject") for kind in ("edit", "delete", "move", "execute", "other", "switch_mode")],
        *[("plan", kind, True, "ask") for kind in ("read", "search", "think", "fetch")],
        ("of another day", "edit", True, "ask"),
    ],
)
def test_what_a_mode_says_to_a_kind_of_tool(mode: str, kind: str, inside: bool, verdict: str) -> None:
    assert judge(Use("t", kind), mode, inside=inside) == verdict


@pytest.mark.parametrize(
    ("decision", "offered", "option"),
    [
        (YES, OFFERED, "allow_once"),
        (ALWAYS, OFFERED, "allow_always"),
        (ALWAYS, ("allow_once", "reject_once"), "allow_once"),
        (YES, ("allow_always", "reject_once"), None),  # once is not for good
        (NO, OFFERED, "reject_once"),
        (NO, ("allow_once", "reject_always"), "reject_always"),
        (NO, ("allow_once",), None),
    ],
)
def test_the_decision_is_put_as_one_of_the_options_that_the_agent_offers(
    decision: Decision, offered: tuple[str, ...], option: str | None
) -> None:
    options = [PermissionOption(option_id=f"id-{kind}", name=kind, kind=kind) for kind in offered]
    assert chosen(options, decision) == (option and f"id-{option}")


def test_a_person_is_asked_and_their_decision_reaches_the_agent(desktop: Desktop) -> None:
    recorder = Recorder(NO)
    answer = desktop.run("asks", RUN, *OFFERED, recorder=recorder)
    assert answer.content == "the-reject_once"
    asked = recorder.questions[0]
    assert (asked.tool, asked.risk, asked.diff) == ("execute", "high", None)
    assert asked.input == {"title": "rm -rf", "command": "rm -rf x"}
    assert asked.key.startswith("t1:")
    assert "denied: rm -rf (execute): not today" in recorder.lines


def test_what_the_request_leaves_out_is_as_it_was_told_before(desktop: Desktop) -> None:
    recorder = Recorder(YES)
    assert desktop.run("asks", {}, *OFFERED, recorder=recorder).content == "the-allow_once"
    asked = recorder.questions[0]
    assert (asked.tool, asked.input) == ("execute", {"title": "Told before", "told": "before"})


def test_a_change_is_shown_as_a_diff(desktop: Desktop) -> None:
    recorder = Recorder(YES)
    path = f"{desktop.work}/a.txt"
    desktop.run("asks", edit(path, old="old\n"), *OFFERED, recorder=recorder)
    name = path.lstrip("/")
    assert recorder.questions[0].diff == f"--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-old\n+new\n"
    assert recorder.questions[0].risk == "medium"


def test_two_questions_about_one_use_are_two_actions() -> None:
    first, again, other = (
        question(Use("t1", "execute", input={"command": command}), None, str, outside=False) for command in "aab"
    )
    assert first.key == again.key != other.key


def test_the_mode_acceptedits_lets_edits_in_the_workspace_through(desktop: Desktop) -> None:
    recorder = Recorder()
    answer = desktop.run("asks", edit("a.txt"), *OFFERED, recorder=recorder, permission_mode="acceptEdits")
    assert (answer.content, recorder.questions) == ("the-allow_once", [])


@pytest.mark.parametrize("path", ["../a.txt", "/etc/passwd", "link/a.txt"])
def test_the_mode_acceptedits_asks_for_an_edit_elsewhere(desktop: Desktop, path: str) -> None:
    (desktop.work / "link").symlink_to(desktop.work.parent)
    recorder = Recorder(NO)
    answer = desktop.run("asks", edit(path), *OFFERED, recorder=recorder, permission_mode="acceptEdits")
    assert (answer.content, recorder.questions[0].risk) == ("the-reject_once", "high")


def test_the_mode_plan_rejects_without_asking(desktop: Desktop) -> None:
    recorder = Recorder()
    answer = desktop.run("asks", RUN, *OFFERED, recorder=recorder, permission_mode="plan")
    assert (answer.content, recorder.questions) == ("the-reject_once", [])
    assert "rejected in permission mode plan: rm -rf (execute)" in recorder.lines


def test_an_agent_cannot_call_a_change_a_search(desktop: Desktop) -> None:
    call = {**edit("a.txt"), "kind": "search"}
    answer = desktop.run("asks", call, *OFFERED, recorder=Recorder(), permission_mode="plan")
    assert answer.content == "the-reject_once"


def test_what_is_always_allowed_is_not_asked_again_where_the_agent_does_not_remember(desktop: Desktop) -> None:
    recorder = Recorder(ALWAYS)
    answer = desktop.run("asks_twice", RUN, "allow_once", "reject_once", recorder=recorder)
    assert (answer.content, len(recorder.questions)) == ("the-allow_once the-allow_once", 1)


def test_what_is_allowed_once_is_asked_again(desktop: Desktop) -> None:
    recorder = Recorder(YES, NO)
    answer = desktop.run("asks_twice", RUN, *OFFERED, recorder=recorder)
    assert answer.content == "the-allow_once the-reject_once"


def test_an_edited_input_denies_since_the_agent_would_run_its_own(desktop: Desktop) -> None:
    recorder = Recorder(Decision(allowed=True, input={"title": "rm -rf", "command": "ls"}))
    assert desktop.run("asks", RUN, *OFFERED, recorder=recorder).content == "the-reject_once"
    recorder = Recorder(Decision(allowed=True, input={"title": "rm -rf", "command": "rm -rf x"}))
    assert desktop.run("asks", RUN, *OFFERED, recorder=recorder).content == "the-allow_once"


def test_a_denial_may_end_the_run(desktop: Desktop) -> None:
    error = desktop.fail("asks", RUN, *OFFERED, recorder=Recorder(STOP))
    assert (str(error), error.code, error.transient) == ("stopped: rm -rf was denied: enough", "denied", False)


def test_an_agent_that_asks_a_hundred_things_is_answered_one_by_one(desktop: Desktop) -> None:
    recorder = Recorder(NO, NO, STOP)
    assert desktop.fail("asks_for_ever", recorder=recorder).code == "denied"
    assert len(recorder.questions) == 3


def test_a_question_shows_no_secret(desktop: Desktop) -> None:
    call = {**edit("a.txt", new=SECRET), "title": SECRET, "rawInput": {SECRET: [SECRET]}}
    recorder = Recorder(NO)
    desktop.run("asks", call, *OFFERED, recorder=recorder)
    assert SECRET[:8] not in recorder.everything
    assert recorder.questions[0].input == {"title": "[hidden]", "[hidden]": ["[hidden]"]}


def test_an_input_is_such_that_it_can_be_stored_and_shown() -> None:
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    assert plain({"big": 2**70, "endless": float("inf"), "yes": True, "small": -1.5, "none": None}, str) == {
        "big": str(2**70),
        "endless": "inf",
        "yes": True,
        "small": -1.5,
        "none": None,
    }
    assert str(plain(deep, str)).count("[") == 20
    long = question(Use("t", input={str(n): "x" * 90_000 for n in range(20)}), None, str, outside=False)
    assert len(str(long.input)) < 500_000
    assert "characters left out" in str(long.input)
