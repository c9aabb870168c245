"""What the acp backend asks an agent, and what it makes of an answer."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agents_app.backends.acp import AcpBackend
from agents_app.backends.acp_client.places import home_of
from agents_app.backends.base import Answer, Turn

from ..local_model.running import ROOT, environment
from .acp_agent import COMMAND
from .acp_running import SECRET, Desktop, PlainFiles
from .recorder import Recorder

SAID = [Turn("user", "One?"), Turn("assistant", "1"), Turn("user", "Two?"), Turn("assistant", "2")]


def heard(answer: Answer) -> dict[str, Any]:
    return dict(json.loads(answer.content))


def test_an_answer_is_streamed_and_its_usage_told(desktop: Desktop) -> None:
    recorder = Recorder()
    answer = desktop.run("answers", recorder=recorder)
    assert (answer.content, answer.tokens, answer.backend, answer.model) == ("Hi there", 14, "acp", "small")
    assert (answer.result, answer.truncated) == (None, False)
    assert recorder.deltas == ["Hi ", "there"]


def test_usage_that_an_agent_tells_in_its_own_place_counts(desktop: Desktop) -> None:
    assert desktop.run("gemini").tokens == 33


def test_a_task_has_its_text_and_the_files_that_were_really_written(desktop: Desktop) -> None:
    old = desktop.work / "old.txt"
    old.write_text("untouched")
    os.utime(old, (1, 1))
    answer = desktop.run("edits", is_message=False, content="Edit")
    assert answer.result == {"content": "", "files": ["new.txt", "sub/deep.txt"]}


def test_a_task_brings_its_requirements_and_context(desktop: Desktop) -> None:
    fields = {"is_message": False, "content": "Sort", "requirements": ["fast"], "context": {"language": "C"}}
    asked = heard(desktop.run("repeats", **fields))
    assert asked["prompts"] == ['Sort\n\nRequirements:\n- fast\n\nContext:\n{\n "language": "C"\n}']


def test_the_agent_works_in_the_sessions_folder_and_keeps_its_home_there(desktop: Desktop) -> None:
    seen = heard(desktop.run("environ"))
    home = home_of(str(desktop.work), "agent_1")
    assert (seen["cwd"], seen["environ"]["HOME"]) == (str(desktop.work), home)
    assert Path(home).parent.parent == desktop.work.parent
    assert Path(home).parent.name == ".work.acp"
    assert os.stat(home).st_mode & 0o777 == 0o700
    assert os.listdir(home) == []  # not even its scratch is left


def test_without_a_session_all_that_the_agent_had_is_removed(desktop: Desktop) -> None:
    answer = desktop.run("environ", workspace="", session_id=None, is_message=False)
    seen = heard(answer)
    assert Path(seen["cwd"]).parent == Path(seen["environ"]["HOME"]).parent
    assert not Path(seen["cwd"]).parent.exists()
    assert answer.memory is None


def test_nothing_of_the_servers_environment_reaches_the_agent(
    desktop: Desktop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SECRET_KEY", "DATABASE_URL", "ANTHROPIC_API_KEY", "PYTHONPATH", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "the server's own")
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)
    seen = heard(desktop.run("environ", env={"MORE": "from the configuration"}))
    environ = {k: v for k, v in seen["environ"].items() if k != "LC_CTYPE"}  # Python's own
    assert environ.keys() == {"PATH", "HOME", "TMPDIR", "LANG", "KEY", "MORE"}
    assert environ["LANG"] == "de_DE.UTF-8"
    assert environ["MORE"] == "from the configuration"


def test_no_descriptor_of_the_server_reaches_the_agent(desktop: Desktop) -> None:
    held, _ = os.pipe()
    os.set_inheritable(held, True)
    try:
        assert heard(desktop.run("environ"))["fds"] == ["0", "1", "2", "3"]  # the fourth is that of the look itself
    finally:
        os.close(held)


def test_a_new_session_is_told_the_instructions_and_the_conversation(desktop: Desktop) -> None:
    answer = desktop.run("repeats", messages=SAID, content="Three?", config={"systemPrompt": "Be brief."})
    assert heard(answer)["prompts"] == [
        "Be brief.\n\nThe conversation so far:\n\nUser: One?\n\nAssistant: 1\n\nUser: Two?\n\nAssistant: 2\n\n"
        "What is asked now:\n\nThree?"
    ]


def test_the_agents_session_is_gone_on_with_and_told_only_what_is_new(desktop: Desktop) -> None:
    memory = desktop.run("stops", "end_turn", "2").memory
    recorder = Recorder()
    answer = desktop.run("repeats", messages=SAID, content="Three?", memory=memory, recorder=recorder)
    assert heard(answer)["prompts"] == ["Three?"]
    assert [method for method, _ in heard(answer)["told"]] == ["session/load"]
    assert "an old answer" not in recorder.text


def test_what_another_agent_answered_meanwhile_is_told(desktop: Desktop) -> None:
    memory = desktop.run("stops", "end_turn", "1").memory
    answer = desktop.run("repeats", messages=SAID, content="Three?", memory=memory)
    assert heard(answer)["prompts"] == [
        "The conversation so far:\n\nUser: Two?\n\nAssistant: 2\n\nWhat is asked now:\n\nThree?"
    ]


@pytest.mark.parametrize(
    ("memory", "env"),
    [({"sessionId": "lost"}, {}), ({"sessionId": "session-1"}, {"NO_LOAD": "1"}), ({"sessionId": 7, "last": []}, {})],
)
def test_a_session_that_cannot_be_gone_on_with_begins_anew(desktop: Desktop, memory: Any, env: Any) -> None:
    answer = desktop.run("repeats", messages=SAID, memory=memory, env=env)
    assert heard(answer)["prompts"][0].startswith("The conversation so far:\n\nUser: One?")
    assert heard(answer)["told"][-1][0] == "session/new"
    assert answer.memory is not None
    assert answer.memory["sessionId"] == "session-1"


def test_a_task_of_a_session_is_a_conversation_of_its_own(desktop: Desktop) -> None:
    memory = desktop.run("stops", "end_turn", "2").memory
    answer = desktop.run("repeats", is_message=False, memory=memory)
    assert [method for method, _ in heard(answer)["told"]] == ["session/new"]
    assert answer.memory is None


@pytest.mark.parametrize(
    ("config", "told", "model"),
    [
        ({"model": "large"}, [["session/set_config_option", {"configId": "model", "value": "large"}]], "large"),
        ({"model": "small", "mode": "plan"}, [["session/set_mode", {"modeId": "plan"}]], "small"),
        ({"mode": "build"}, [], "small"),
    ],
)
def test_the_configured_model_and_mode_are_set(desktop: Desktop, config: Any, told: Any, model: str) -> None:
    answer = desktop.run("repeats", config=config)
    expected = [[method, {"sessionId": "session-1", **params}] for method, params in told]
    assert heard(answer)["told"][1:] == expected
    assert answer.model == model


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model": "huge"}, "config.model is not among those of the agent: small, large"),
        ({"mode": "yolo"}, "config.mode is not among those of the agent: build, plan, acceptEdits"),
    ],
)
def test_a_model_or_mode_that_the_agent_lacks_is_a_wrong_configuration(
    desktop: Desktop, config: Any, reason: str
) -> None:
    error = desktop.fail("answers", config=config)
    assert (str(error), error.code, error.transient) == (reason, "not_configured", False)


@pytest.mark.parametrize(
    ("permission_mode", "mode", "memory", "chosen"),
    [
        ("plan", "", {}, "plan"),
        ("plan", "acceptEdits", {}, "plan"),
        ("acceptEdits", "", {}, "acceptEdits"),
        ("acceptEdits", "build", {}, None),
        ("default", "", {}, None),
        ("default", "", {"sessionId": "s", "mode": "build"}, "build"),
    ],
)
def test_the_agent_is_put_into_the_mode_of_the_session(
    desktop: Desktop, permission_mode: str, mode: str, memory: Any, chosen: str | None
) -> None:
    now = {"MODE": "plan"} if memory else {}
    answer = desktop.run("repeats", permission_mode=permission_mode, config={"mode": mode}, memory=memory, env=now)
    told = [params["modeId"] for method, params in heard(answer)["told"] if method == "session/set_mode"]
    assert told == ([chosen] if chosen else [])


def test_thoughts_tools_and_plans_are_logged_and_a_plan_is_progress(desktop: Desktop) -> None:
    recorder = Recorder()
    desktop.run("thinks", recorder=recorder)
    assert recorder.lines == [
        "thought: I wonder about [hidden]",
        "plan: 0 of 4 done",
        "plan: 1 of 4 done, now: step 1",
        "tool: Look around (search)",
        "tool failed: Look around",
    ]
    assert recorder.steps == [(0.0, ""), (0.25, "step 1")]
    assert recorder.deltas == ["thought through"]


def test_lines_that_are_no_message_are_passed_over(desktop: Desktop, caplog: pytest.LogCaptureFixture) -> None:
    assert desktop.run("odd").content == "ab�?"
    assert caplog.text == ""


def test_an_agent_that_fills_its_error_output_is_not_held_up(desktop: Desktop) -> None:
    assert desktop.run("complains").content == "at last"


@pytest.mark.parametrize("reason", ["max_tokens", "max_turn_requests"])
def test_an_answer_that_was_cut_short_is_truncated(desktop: Desktop, reason: str) -> None:
    assert desktop.run("stops", reason, "Once upon").truncated


def test_an_agent_made_with_the_protocols_own_package_is_understood(desktop: Desktop) -> None:
    packaged = [sys.executable, str(Path(COMMAND[-1]).with_name("acp_packaged_agent.py"))]
    answer = desktop.run(config={"command": packaged}, permission_mode="acceptEdits")
    assert answer.content == "Hello: the-allow_once, before, after"
    assert (desktop.work / "a.txt").read_text() == "after"
    assert answer.tokens == 5


def test_the_protocols_package_is_loaded_by_the_first_run_only() -> None:
    code = (
        "import sys; from agents_app.backends.acp import AcpBackend; AcpBackend(['*'], None).unready({'command': 'ls'})"
        "; print([name for name in ('acp', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), cwd=ROOT, capture_output=True, check=True)
    assert done.stdout == b"[]\n"


def test_the_backend_says_what_it_makes_use_of() -> None:
    backend = AcpBackend(["*"], PlainFiles())
    assert (backend.name, backend.remembers, backend.resumes, backend.works_in_files) == ("acp", True, True, True)
    assert SECRET not in repr(backend)
