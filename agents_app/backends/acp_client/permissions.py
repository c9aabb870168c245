"""What an agent may do by itself, what a person is asked, and how the answer is put to the agent."""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from acp.schema import PermissionOption

from ..base import Decision, Json, Question
from ..wire.chat import shortened
from .tools import Use

ALLOW, REJECT, ASK = "allow", "reject", "ask"
# Kinds of tools that change nothing here.
HARMLESS = frozenset({"read", "search", "think", "fetch"})
RISKS = {"read": "low", "search": "low", "think": "low", "delete": "high", "execute": "high"}
LONGEST_TITLE, LONGEST_TEXT, LONGEST_INPUT, DEEPEST = 1_000, 100_000, 400_000, 20
WHOLE = 2**53

Hide = Callable[[str], str]


def judge(use: Use, mode: str, *, inside: bool) -> str:
    """What the session's permission mode says to a use; `inside` is whether all its files are in the workspace.

    `plan` lets nothing be changed, and nothing be done that might; `acceptEdits` lets files be edited.
    """
    if mode == "plan" and (use.kind not in HARMLESS or use.changes):
        return REJECT
    if mode == "acceptEdits" and use.kind == "edit" and inside:
        return ALLOW
    return ASK


def question(use: Use, diff: str | None, hide: Hide, *, outside: bool) -> Question:
    """What a person is asked. The key has what is asked in it, since agents ask several things about one use."""
    told = plain(use.input, hide)
    asked = {"title": hide(use.title)[:LONGEST_TITLE]}
    asked |= told if isinstance(told, dict) else {} if told is None else {"input": told}
    text = json.dumps(asked)
    digest = hashlib.sha256(f"{use.kind}\n{text}\n{use.changes}".encode()).hexdigest()[:16]
    if len(text) > LONGEST_INPUT:
        asked = {"title": asked["title"], "input": shortened(text, LONGEST_INPUT)}
    risk = "high" if outside else RISKS.get(use.kind, "medium")
    return Question(f"{use.id}:{digest}", use.kind, asked, diff and hide(diff), risk)


def chosen(options: Sequence[PermissionOption], decision: Decision) -> str | None:
    """The id of the offered option that says what was decided; None where none says it, which the agent takes as no.

    What was allowed once is never allowed for good.
    """
    if decision.allowed:
        wanted = ("allow_always", "allow_once") if decision.always else ("allow_once",)
    else:
        wanted = ("reject_once", "reject_always")
    for kind in wanted:
        for option in options:
            if option.kind == kind:
                return option.option_id
    return None


def plain(value: Json, hide: Hide, depth: int = 0) -> Any:
    """A value of JSON that can be stored and shown: not too deep, numbers that any reader can take, no secrets."""
    if isinstance(value, str):
        return shortened(hide(value), LONGEST_TEXT)
    if depth == DEEPEST and isinstance(value, dict | list):
        return "…"
    if isinstance(value, dict):
        return {hide(str(key)): plain(item, hide, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item, hide, depth + 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return str(value) if isinstance(value, int) and abs(value) > WHOLE else value
