"""What a task's result is to the steps after it."""

from typing import Any

from agents_app.models import Task

from .prompts import extract_json


def of(task: Task) -> dict[str, Any]:
    """The agent's result object; with `json` where its text holds some."""
    result = dict(task.result or {})
    content = result.get("content")
    found = extract_json(content) if isinstance(content, str) and "json" not in result else None
    return result | ({"json": found} if found is not None else {})
