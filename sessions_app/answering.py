"""What becomes of a message when its task starts and ends; called in the task's own transaction."""

from typing import Any

from agents_app.models import Task
from taskmaster.core.prepared import Slot, Update
from taskmaster.events.log import record

from .models import Message
from .talking import Ending, give_turn

CODE_FENCE = "```"

_START = Update(lambda: Message.objects.filter(pk=Slot("pk"), status=Message.QUEUED), status=Message.PROCESSING)


def task_started(task: Task) -> None:
    """Its message is being processed."""
    if task.origin != "message":
        return
    if task.attempts == 1:
        # Whoever takes a message back takes its task back, which is held now.
        _START.later(pk=task.origin_id)
    if task.attempts == 1 or _START(pk=task.origin_id):
        news = {"messageId": task.origin_id, "sessionId": task.session_id, "agentId": task.agent_id}
        record(task.org_id, ("message.started", news))


def task_ended(task: Task) -> None:
    """Its message has an answer, or an error, and the next one's turn has come."""
    if task.origin == "message" and task.session_id is not None:
        give_turn(_ending(task), task)


def _ending(task: Task) -> Ending:
    if task.status == Task.COMPLETED:
        return Ending(Message.COMPLETED, response=response_of(task))
    if task.status == Task.FAILED:
        return Ending(Message.FAILED, error=task.error, code=task.error_code)
    return Ending(Message.CANCELLED)


def response_of(task: Task) -> dict[str, Any]:
    """What the message's caller gets."""
    content = str((task.result or {}).get("content") or "")
    return {
        "type": "code_response" if CODE_FENCE in content else "text_response",
        "content": content,
        "metadata": {
            "processingTime": task.duration,
            "tokensUsed": task.tokens_used,
            "agentId": task.agent_id,
            "backend": task.backend,
            "model": task.model,
            "truncated": task.truncated,
        },
    }
