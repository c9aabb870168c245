"""The members of a step, by its type: one table. Times are in milliseconds."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..prompts import ITEM_NAMES
from .findings import Place
from .readers import Member, flag, identifier, members, one_of, several, text, whole
from .texts import expression, headers, json, moment, template, url

AGENT_TYPES = ("codegen", "claude", "custom")
PRIORITIES = ("low", "normal", "high", "urgent")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
ON_FAILURE = ("fail", "continue")
MOST_STEPS = 1_000
HOUR, DAY, YEAR = 3_600_000, 86_400_000, 31_536_000_000

Table = Mapping[str, Member]


def _inner(value: Any, place: Place) -> Any:
    """What is done with each item of a `foreach`: an agent's step without an id."""
    if not isinstance(value, dict):
        place.wrong("must be an object")
        return {}
    return members(value, INNER, replace(place, names=ITEM_NAMES))


NAME = text(200)
RETRIES: Table = {
    "retries": Member(whole(0, 10), default=0),
    "retryDelay": Member(whole(0, HOUR), default=1_000),
}
AGENT: Table = {
    "agentType": Member(one_of(AGENT_TYPES), default="codegen"),
    "agentId": Member(text(64)),
    "capabilities": Member(several(text(200), most=100), default=[]),
    "prompt": Member(template, required=True),
    "requirements": Member(several(text(10_000), most=1_000)),
    "priority": Member(one_of(PRIORITIES)),
    "timeout": Member(whole(1_000, DAY), default=1_800_000),
    **RETRIES,
    "executes": Member(flag, default=False),
}
LAST: Table = {
    "when": Member(expression),
    "onFailure": Member(one_of(ON_FAILURE), default="fail"),
}
INNER: Table = {
    "name": Member(NAME),
    "type": Member(one_of(("agent",)), default="agent"),
    **AGENT,
    "onFailure": LAST["onFailure"],
}
TYPES: Mapping[str, Table] = {
    "agent": AGENT,
    "approval": {
        "message": Member(template),
        "timeout": Member(whole(1_000, YEAR)),
        "onTimeout": Member(one_of(ON_FAILURE), default="fail"),
    },
    "wait": {
        "duration": Member(whole(0, YEAR)),
        "until": Member(moment),
    },
    "http": {
        "url": Member(url, required=True),
        "method": Member(one_of(METHODS), default="GET"),
        "headers": Member(headers, default={}),
        "body": Member(json),
        "expect": Member(several(whole(100, 599), least=1, most=20)),
        "timeout": Member(whole(1_000, 600_000), default=30_000),
        **RETRIES,
    },
    "condition": {"expression": Member(expression, required=True)},
    "foreach": {
        "items": Member(expression, required=True),
        "parallel": Member(whole(1, 50), default=5),
        "step": Member(_inner, required=True),
    },
}
# Of these members a step has exactly one.
EITHER: Mapping[str, tuple[str, str]] = {"wait": ("duration", "until")}
FIRST: Table = {
    "id": Member(identifier, required=True),
    "name": Member(NAME, required=True),
    "type": Member(one_of(tuple(TYPES)), required=True),
    "dependsOn": Member(several(identifier, most=MOST_STEPS), default=[]),
}
# What `stepData` cannot override.
FIXED = ("id", "type", "dependsOn")


def members_of(step_type: Any) -> Table:
    """The members of a step of this type; of one that there is not, those that all have."""
    own = TYPES.get(step_type, {}) if isinstance(step_type, str) else {}
    return {**FIRST, **own, **LAST}
