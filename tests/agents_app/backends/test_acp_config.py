"""Which programs an acp agent's configuration may name, and what it may give them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agents_app.backends.acp import AcpBackend
from agents_app.backends.acp_client.program import Program
from agents_app.backends.base import BackendError, Unready
from taskmaster.env import WrongSetting, programs

from .acp_running import Desktop, PlainFiles
from .recorder import Recorder

LS = "/bin/ls"


def unready(config: dict[str, Any], *allowed: str) -> Unready | None:
    return AcpBackend(allowed, PlainFiles()).unready(config)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({}, "config.command is missing"),
        ({"command": ""}, "config.command is missing"),
        ({"command": []}, "config.command is missing"),
        ({"command": "ls 'unended"}, "config.command cannot be read (No closing quotation)"),
        ({"command": {"a": 1}}, "config.command must be a string or a list of strings"),
        ({"command": ["ls", 7]}, "config.command must be a string or a list of strings"),
        ({"command": ["ls", "\0"]}, "config.command must be a string or a list of strings"),
        ({"command": 7}, "config.command must be a string or a list of strings"),
        ({"command": "./ls"}, "config.command must begin with a name or an absolute path"),
        ({"command": [" "]}, "config.command must begin with a name or an absolute path"),
        ({"command": "ls", "env": ["A=1"]}, "config.env must be an object of strings"),
        ({"command": "ls", "env": {"A": 1}}, "config.env.A must be a string"),
        ({"command": "ls", "env": {"A": "\0"}}, "config.env.A must be a string"),
        ({"command": "ls", "env": {"A=B": "1"}}, "config.env has a name that no variable has: 'A=B'"),
        ({"command": "ls", "env": {"": "1"}}, "config.env has a name that no variable has: ''"),
        ({"command": "ls", "model": 1}, "config.model must be a string"),
        ({"command": "ls", "mode": 1}, "config.mode must be a string"),
        ({"command": "ls", "systemPrompt": 1}, "config.systemPrompt must be a string"),
    ],
)
def test_a_wrong_configuration_is_unready_for_good_and_says_why(config: dict[str, Any], reason: str) -> None:
    assert unready(config, "*") == Unready(reason, for_good=True)


def test_a_command_is_a_list_or_a_line_for_a_shell_that_is_never_started() -> None:
    line = Program.of({"command": "agent --name 'two words' $HOME; ls"}, ["*"])
    assert line.command == ("agent", "--name", "two words", "$HOME;", "ls")
    assert Program.of({"command": ["agent", "two words"]}, ["*"]).command == ("agent", "two words")


def test_where_the_operator_allows_nothing_every_agent_is_unready_for_good() -> None:
    reason = "not configured: the operator allows no ACP commands (TASKMASTER_ACP_COMMANDS)"
    assert unready({"command": "ls"}) == Unready(reason, for_good=True)


@pytest.mark.parametrize(
    ("command", "allowed", "ready"),
    [
        ("ls -l", ["ls"], True),
        (LS, [LS], True),
        ("ls", ["cat", "ls"], True),
        (LS, ["*"], True),
        ("cat", ["ls"], False),
        (LS, ["ls"], False),  # any folder has room for a program of that name
        ("ls", [LS], False),
        ("/tmp/ls", ["ls", LS], False),
        ("ls-extra", ["ls"], False),
        ("ls", ["*s"], False),
    ],
)
def test_only_what_the_operator_allows_is_started(command: str, allowed: list[str], ready: bool) -> None:
    why = unready({"command": command}, *allowed)
    refusal = f"config.command is not among those that the operator allows: {command.split(maxsplit=1)[0]!r}"
    assert why == (None if ready else Unready(refusal, for_good=True))


def test_a_program_that_is_not_here_may_be_elsewhere() -> None:
    expected = Unready("no-such-agent is not installed on this machine", for_good=False)
    assert unready({"command": "no-such-agent acp"}, "*") == expected


@pytest.mark.parametrize(
    "name", ["PATH", "LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "NODE_OPTIONS", "BASH_ENV", "PYTHONPATH"]
)
def test_variables_that_decide_what_is_run_are_for_an_operator_who_allows_everything(name: str) -> None:
    config = {"command": "ls", "env": {name: "/work/mine"}}
    assert unready(config, "ls") == Unready(f"config.env.{name} may not be set, since it decides what is run", True)
    assert unready(config, "*") is None
    assert unready({"command": "ls", "env": {"MY_PATH": "x", "ENVIRONMENT": "x"}}, "ls") is None


def test_the_program_is_looked_for_where_the_server_would_whatever_the_agent_gets(
    desktop: Desktop, tmp_path: Path
) -> None:
    mine = tmp_path / "ls"
    mine.write_text("#!/bin/sh\necho mine")
    mine.chmod(0o700)
    program = Program.of({"command": "ls", "env": {"PATH": str(tmp_path)}}, ["*"])
    assert program.path() not in (None, str(mine))


def test_what_is_not_allowed_is_not_run_either(desktop: Desktop) -> None:
    marker = desktop.work / "marker"
    request = desktop.request(config={"command": ["touch", str(marker)]})
    backend = AcpBackend(["ls"], PlainFiles())
    with pytest.raises(BackendError, match="not among those") as caught:
        asyncio.run(backend.run(request, Recorder()))
    assert (caught.value.code, caught.value.transient) == ("not_configured", False)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("raw", "allowed"),
    [("*", ["*"]), ("off", []), ("OFF", []), ("opencode, /opt/agent", ["opencode", "/opt/agent"]), (" , ", [])],
)
def test_the_setting_lists_programs(raw: str, allowed: list[str]) -> None:
    assert programs(raw) == allowed


def test_a_relative_path_in_the_setting_stops_the_start() -> None:
    with pytest.raises(WrongSetting, match="bin/agent"):
        programs("ls,bin/agent")


def test_the_keys_are_not_shown_by_the_configuration() -> None:
    assert "sk-secret" not in repr(Program.of({"command": "ls", "env": {"KEY": "sk-secret"}}, ["*"]))
