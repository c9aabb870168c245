"""The program that an agent's configuration names, and whether the operator lets it be started."""

import re
import shlex
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from ..base import BackendError, Json

ANY = "*"
NOTHING_ALLOWED = "not configured: the operator allows no ACP commands (TASKMASTER_ACP_COMMANDS)"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# Variables that put other code in the place of the program that the operator allowed.
STEERING = re.compile(
    r"(LD_|DYLD_|PYTHON|PERL5|BUN_|GCONV_)|(PATH|BASH_ENV|ENV|NODE_OPTIONS|NODE_PATH|RUBYOPT|RUBYLIB)\Z"
)


@dataclass(frozen=True, slots=True)
class Program:
    """`command` with its arguments, `env` the variables it gets; the rest is "" where it is not configured."""

    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    model: str = ""
    mode: str = ""
    system: str = ""

    @classmethod
    def of(cls, config: Mapping[str, Json], allowed: Collection[str]) -> "Program":
        """Read `command`, `env`, `model`, `mode`, `systemPrompt`.

        Raises BackendError with code `not_configured`, naming the member, also for a command that is not `allowed`.
        """
        if not allowed:
            raise BackendError(NOTHING_ALLOWED, code="not_configured")
        command = _command(config.get("command"))
        if ANY not in allowed and command[0] not in allowed:
            _refuse("command", f"is not among those that the operator allows: {command[0]!r}")
        return cls(
            command=command,
            env=_env(config.get("env"), free=ANY in allowed),
            model=_text(config, "model"),
            mode=_text(config, "mode"),
            system=_text(config, "systemPrompt"),
        )

    def path(self) -> str | None:
        """Where it is on this machine, looked for as the server would, whatever `env` says; None where it is not."""
        return shutil.which(self.command[0])


def _refuse(name: str, problem: str) -> NoReturn:
    raise BackendError(f"config.{name} {problem}", code="not_configured")


def _command(value: Json) -> tuple[str, ...]:
    words = _split(value) if isinstance(value, str) else value
    if not words:
        _refuse("command", "is missing")
    if not isinstance(words, list) or not all(isinstance(word, str) and "\0" not in word for word in words):
        _refuse("command", "must be a string or a list of strings")
    if not words[0].startswith("/") and ("/" in words[0] or not words[0].strip()):
        _refuse("command", "must begin with a name or an absolute path")
    return tuple(words)


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        _refuse("command", f"cannot be read ({error})")


def _env(value: Json, *, free: bool) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        _refuse("env", "must be an object of strings")
    for name, text in value.items():
        if not NAME.match(name):
            _refuse("env", f"has a name that no variable has: {name!r}")
        if not isinstance(text, str) or "\0" in text:
            _refuse(f"env.{name}", "must be a string")
        if not free and STEERING.match(name):
            _refuse(f"env.{name}", "may not be set, since it decides what is run")
    return dict(value)


def _text(config: Mapping[str, Json], name: str) -> str:
    value = config.get(name)
    if value is not None and not isinstance(value, str):
        _refuse(name, "must be a string")
    return (value or "").strip()
