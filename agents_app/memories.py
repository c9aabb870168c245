"""What an agent's backend keeps from one request to the next."""

from collections.abc import Mapping
from typing import Any

from taskmaster.core.clock import now

from . import leases
from .models import Memory, Task


def remembered(task: Task) -> dict[str, Any]:
    """What this task's agent kept of its session, where it is a message's, or of the task itself."""
    found = Memory.objects.filter(subject=_subject(task), agent=task.agent_id).values_list("content", flat=True)
    return dict(found.first() or {})


def remember(task: Task, content: Mapping[str, Any]) -> None:
    """Keep it in the place of what was kept, unless the task is somebody else's by now."""
    if not leases.held().filter(pk=task.pk, lease=task.lease).exists():
        return
    Memory.objects.update_or_create(
        subject=_subject(task), agent_id=task.agent_id, defaults={"content": dict(content), "changed_at": now()}
    )


def forget(subject: str) -> None:
    """Nobody wants it back."""
    Memory.objects.filter(subject=subject).delete()


def _subject(task: Task) -> str:
    """A session's messages come one after the other and share it; its tasks run beside them, each with its own."""
    return task.session_id if task.origin == "message" and task.session_id else task.pk
