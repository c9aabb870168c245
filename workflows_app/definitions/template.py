"""Reads a whole template: `{id, name, description?, steps}`."""

from typing import Any

from .findings import Findings, Place, Problem
from .readers import Member, identifier, members, text
from .steps import read_steps

HEAD = {
    "id": Member(identifier, required=True),
    "name": Member(text(200), required=True),
    "description": Member(text(10_000)),
}


def read_template(document: Any) -> tuple[dict[str, Any], list[Problem]]:
    """The template as it is stored, with the defaults of its steps, and what is wrong with it."""
    findings = Findings()
    if not isinstance(document, dict):
        return {}, [{"field": "body", "message": "must be an object"}]
    head = members(document, HEAD, Place("", findings))
    steps, problems = read_steps(document.get("steps"))
    return head | {"steps": steps}, findings.problems + problems
