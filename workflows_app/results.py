"""What a task's result is to the steps after it."""

from collections.abc import Mapping
from typing import Any

from agents_app.models import Task

from .execution import believable
from .prompts import extract_json

# The backends whose agents can run code; any other only says that it did.
ABLE = frozenset({"acp", "claude", "codegen", "http", "runner"})


def of(task: Task, definition: Mapping[str, Any]) -> dict[str, Any]:
    """The agent's result object, with `json` where its text holds some, and `executed` where the step needs that."""
    result = dict(task.result or {})
    content = result.get("content")
    found = extract_json(content) if isinstance(content, str) and "json" not in result else None
    result |= {"json": found} if found is not None else {}
    return believable(result, able=task.backend in ABLE) if definition.get("executes") else result
