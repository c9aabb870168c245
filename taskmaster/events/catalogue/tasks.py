"""The events of tasks."""

from .event_type import EventType
from .fields import Fields, fraction, free, one_of, text, whole
from .shared import ACTION_ID, ATTEMPT, CODE, ERROR

_TASK = {
    "taskId": text("The task.", "task_123456789"),
    "agentId": text("The agent that has it.", "agent_123456789"),
    "type": text("The task's own type; `message` where it answers a session's message.", "code_generation"),
    "sessionId": text("The session that it belongs to, if any.", "session_123456789").optional(),
    "messageId": text("The message that it answers, if any.", "msg_123456789").optional(),
    "workflowId": text("The workflow that it belongs to, if any.", "workflow_123456789").optional(),
}
_DURATION = {"duration": whole("How long its last attempt ran, in milliseconds.", 1500)}
_PROGRESS = {
    "progress": fraction("How much is done.", 0.75),
    "message": text("What it says of it; may be empty.", "Writing tests"),
}
_RETRYING = {
    "attempt": ATTEMPT,
    "error": ERROR,
    "retryAfter": whole("How long it waits at least, in milliseconds.", 5000),
}


def _task(verb: str, meaning: str, more: Fields | None = None) -> EventType:
    return EventType(f"task.{verb}", meaning, _TASK | dict(more or {}))


TASKS = (
    _task(
        "queued",
        "A task waits for its agent: it is new, or somebody retried it, or its budget was raised.",
        {"priority": one_of("Its priority.", "low", "normal", "high", "urgent")},
    ),
    _task("started", "A task runs.", {"attempt": ATTEMPT}),
    _task("progress", "How far a running task is.", _PROGRESS),
    _task(
        "completed",
        "A task has ended well.",
        {"result": free("What came out of it.", {"content": "// Generated code..."}), **_DURATION},
    ),
    _task(
        "failed", "A task has failed for good, unless somebody retries it.", {"error": ERROR, "code": CODE, **_DURATION}
    ),
    _task("cancelled", "A task was called off."),
    _task("retrying", "An attempt has failed, or its worker was lost, and another one follows.", _RETRYING),
    _task("waiting", "A task waits for a permission, or for more budget.", {"actionId": ACTION_ID}),
)
