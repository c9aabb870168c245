"""The events of workflows, of their steps, and of webhooks."""

from .event_type import EventType
from .fields import Fields, anything, moment, one_of, text, whole
from .shared import ATTEMPT, CODE, ERROR

_WORKFLOW = {
    "workflowId": text("The workflow.", "workflow_123456789"),
    "templateId": text("The template that it was made from.", "development"),
    "name": text("Its name.", "User Service Development"),
}
_STEP = {
    "workflowId": text("The workflow.", "workflow_123456789"),
    "stepId": text("The step's id in its template.", "analyze_requirements"),
    "name": text("The step's name.", "Analyze Requirements"),
    "type": one_of("The kind of step.", "agent", "approval", "wait", "http", "condition", "foreach"),
    "taskId": text("The task that does the work, of an agent step.", "task_123456789").optional(),
}
_DURATION = whole("From its first start to its end, in milliseconds, pauses included.", 3_600_000)
_IF_STARTED = whole(
    "From its first start to its end, in milliseconds, pauses included; null where it never ran.", 3_600_000
).nullable()
_FAILED = {
    "error": ERROR,
    "stepId": text("The step that failed; null where its time was up.", "run_tests").nullable(),
    "duration": _DURATION,
}
_FINISHED = {
    "status": one_of("How it ended.", "completed", "failed", "cancelled"),
    "error": text("What went wrong, of a failed one.", "The agent failed.").nullable(),
    "duration": _IF_STARTED,
}
_WAITING = {
    "prompt": text("What is asked, of an approval.", "Deploy to production?").nullable(),
    "until": moment("When the wait ends by itself; null for never.").nullable(),
}
_WEBHOOK = {"webhookId": text("The webhook.", "wh_123456789")}


def _workflow(verb: str, status: str, meaning: str, more: Fields | None = None) -> EventType:
    now = {"status": one_of("Its status now.", status)}
    return EventType(f"workflow.{verb}", meaning, _WORKFLOW | now | dict(more or {}))


def _step(verb: str, status: str, meaning: str, more: Fields) -> EventType:
    now = {"status": one_of("Its status now.", status)}
    return EventType(f"workflow.step.{verb}", meaning, _STEP | now | dict(more))


WORKFLOWS = (
    _workflow("created", "created", "There is a new workflow."),
    _workflow("started", "running", "A workflow runs: it was started, or retried after it had failed."),
    _workflow("paused", "paused", "A workflow starts no further step until it is resumed."),
    _workflow("resumed", "running", "A paused workflow goes on."),
    _workflow("completed", "completed", "A workflow has ended well.", {"duration": _DURATION}),
    _workflow("failed", "failed", "A workflow has failed for good, unless somebody retries it.", _FAILED),
    _workflow("cancelled", "cancelled", "A workflow was called off.", {"duration": _IF_STARTED}),
    EventType("workflow.finished", "A workflow has ended, one way or another.", _WORKFLOW | _FINISHED),
)

STEPS = (
    _step("started", "running", "A step runs.", {"attempt": ATTEMPT}),
    _step(
        "completed",
        "completed",
        "A step has ended well.",
        {"result": anything("What came out of it.", {"content": "..."}), "duration": _DURATION},
    ),
    _step(
        "failed",
        "failed",
        "A step has failed, after its retries.",
        {"error": ERROR, "code": CODE, "duration": _IF_STARTED},
    ),
    _step(
        "skipped",
        "skipped",
        "A step will not run.",
        {"reason": text("Why: its condition, or a step that it depends on.", "run_tests failed.")},
    ),
    _step("waiting", "waiting", "A step waits for a signal, or for its time.", _WAITING),
)

WEBHOOKS = (
    EventType(
        "webhook.disabled",
        "A webhook gets nothing more: it answered 410, or has failed for five days.",
        _WEBHOOK
        | {
            "url": text("Where it went.", "https://your-app.com/webhooks/taskmaster"),
            "reason": text("Why.", "It answered 410."),
        },
    ),
    EventType("webhook.test", "Somebody tries a webhook, which gets this whatever its events are.", _WEBHOOK),
)
