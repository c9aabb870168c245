"""What an agent's backend keeps from one request to the next."""

from collections.abc import Mapping
from typing import Any

from taskmaster.core.clock import now

from .models import Memory, Task


def remembered(task: Task) -> dict[str, Any]:
    """What this task's agent kept of its session, or of the task itself where it has none."""
    found = Memory.objects.filter(subject=_subject(task), agent=task.agent_id).values_list("content", flat=True)
    return dict(found.first() or {})


def remember(task: Task, content: Mapping[str, Any]) -> None:
    """Keep it in the place of what was kept."""
    Memory.objects.update_or_create(
        subject=_subject(task), agent_id=task.agent_id, defaults={"content": dict(content), "changed_at": now()}
    )


def _subject(task: Task) -> str:
    return task.session_id or task.pk
