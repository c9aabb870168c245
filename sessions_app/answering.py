"""What becomes of a message when its task starts and ends; called in the task's own transaction."""

from typing import Any

from agents_app.models import Task
from taskmaster.events.log import record

from .models import Message
from .talking import begin_next, end_message

CODE_FENCE = "```"


def task_started(task: Task) -> None:
    """Its message is being processed."""
    if task.origin != "message":
        return
    message = Message.objects.get(pk=task.origin_id)
    if message.try_move(Message.PROCESSING):
        record(task.org_id, ("message.started", message.news(agentId=task.agent_id)))


def task_ended(task: Task) -> None:
    """Its message has an answer, or an error, and the next one's turn has come."""
    if task.origin != "message":
        return
    message = Message.objects.select_related("session").get(pk=task.origin_id)
    if task.status == Task.COMPLETED:
        end_message(message, Message.COMPLETED, response=response_of(task))
    elif task.status == Task.FAILED:
        end_message(message, Message.FAILED, error=task.error, error_code=task.error_code)
    else:
        end_message(message, Message.CANCELLED)
    if message.session.deleted_at is None:
        begin_next(message.session_id)


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
