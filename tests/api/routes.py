"""The table of all routes. A route that is not in it fails `test_routes.py`; a route that is in it is tested there.

A placeholder in a path, such as `{session}`, is an attribute of `World`, which makes the object that it stands for.
`fields` says what each field of the body must be, for the tests of wrong types: one of the KINDS, with a `?` where
null is allowed; a dot goes into an inner object. `foreign` names the fields of the body that hold ids, and what of.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .world import World, placeholders

# A path in a workspace is its user's choice: many strange ones are good ones.
NOT_IDS = ("file", "new_file")

LONG_AGO, SOON = "2001-01-01T00:00:00Z", "2100-01-01T00:00:00Z"

# Values that are not of the kind.
KINDS: dict[str, list[Any]] = {
    "text": ["", None, True, 5, 1.5, [], {}, ["x"]],
    "choice": ["", None, True, 5, 1.5, [], {}, ["x"], "no such thing", "a\nb"],
    "whole": [None, True, 1.5, "5", "", [], {}, [5], 0, -1, 2**53 - 1],
    "count": [True, 1.5, "5", "", [], {}, [5], 0, -1],
    "texts": [None, True, 5, "x", {}, [None], [5], [[]], [{}], [""], {"0": "x"}],
    "choices": [None, True, 5, "read", {}, [], [None], [5], [[]], ["no such thing"]],
    "object": [None, True, 5, "x", [], [["a", 1]]],
    "rate": [None, True, 5, "", "1000", "1000/15", "0/15m", "-1/15m", "1000/15y", "1000/15m\n", [], {}],
    "wait": [None, True, 1.5, "5", "", [], {}, -1, 30_001],
    "fraction": [None, True, "0.5", "", [], {}, -0.1, 1.1, 2],
    "identifier": ["", None, True, 5, 1.5, [], {}, ["x"], "A", "a b", "a/b", "é", "a\n", "a.b", "x" * 65],
    "steps": [None, True, 5, 1.5, "x", "", {}, {"0": {}}, [], [{}] * 1001],
    "limit": [True, 1.5, "5", "", [], {}, [5], 0, -1, 999, 2**53 - 1],
    "cron": [
        "",
        None,
        True,
        5,
        [],
        {},
        "x",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "0 0 30 2 *",
        "* " * 99,
        "@reboot",
    ],
    "zone": ["", None, True, 5, [], {}, "x", "europe/berlin", "Europe", "../UTC", "UTC+2", "Factory", "x" * 300],
    "secret": ["", True, 5, [], {}, "x" * 15, "x" * 257],
    "flag": [None, "true", 1, 0, "", [], {}],
    "note": [None, True, 5, [], {}],
    "moment": [True, 5, "", "tomorrow", "2100-01-01", "2100-01-01T00:00:00", "2100-13-01T00:00:00Z", LONG_AGO, [], {}],
}


@dataclass(frozen=True)
class Route:
    """One method of one path, as a caller who may use it sees it."""

    method: str
    path: str
    scope: str
    status: int = 200
    body: Callable[[World], dict[str, Any]] | None = None
    fields: dict[str, str] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    foreign: dict[str, str] = field(default_factory=dict)
    # The member under which a list's items stand, and the names of its filters.
    items: str = ""
    filters: tuple[str, ...] = ()
    # Whether what is sent, or answered, is a file and no JSON.
    raw: bool = False
    # The content type of an answer that is a picture and no JSON.
    picture: str = ""
    # Whether it is answered with server-sent events, which the edge goes on with.
    stream: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def pattern(self) -> str:
        """The path without the placeholders' names."""
        return "/".join("{}" if part.startswith("{") else part for part in self.path.split("/"))

    @property
    def names(self) -> list[str]:
        """The names of the placeholders that stand for ids."""
        return [name for name in placeholders(self.path) if name not in NOT_IDS]

    @property
    def idempotent(self) -> bool:
        """Whether it takes an Idempotency-Key."""
        return self.method == "POST"

    @property
    def takes_body(self) -> bool:
        """Whether what is sent is looked at."""
        return self.method in ("POST", "PUT", "PATCH") and not self.raw

    def wrong_values(self) -> list[tuple[str, Any]]:
        """Every field with every value that it may not have."""
        return [
            (name, value)
            for name, kind in self.fields.items()
            for value in KINDS[kind.rstrip("?")]
            if not (kind.endswith("?") and value is None)
        ]


CONFIGURATION = {
    "configuration": "object",
    "configuration.capabilities": "texts",
    "configuration.timeout": "whole",
    "configuration.maxConcurrentTasks": "whole",
    "configuration.permissionMode": "choice",
    "configuration.tokenBudget": "count?",
}
TASK = {
    "type": "text",
    "description": "text",
    "requirements": "texts",
    "priority": "choice",
    "context": "object",
    "timeout": "whole",
}
AGENT = {
    "name": "text",
    "backend": "choice",
    "capabilities": "texts",
    "maxConcurrentTasks": "whole",
    "defaultDuration": "whole",
    "config": "object",
}


TEMPLATE = {"name": "text", "description": "note?", "steps": "steps"}
WORKFLOW_DATA = {
    "workflowData": "object?",
    "workflowData.name": "text?",
    "workflowData.context": "object?",
    "workflowData.stepData": "object?",
}
EXECUTION = {
    "executionContext": "object?",
    "executionContext.priority": "choice?",
    "executionContext.timeout": "limit?",
    "executionContext.notifications": "flag",
}
# Of what starts workflows by itself.
STARTED = (
    {"name": "text", "templateId": "text"}
    | {name: kind if "." in name else "object" for name, kind in WORKFLOW_DATA.items()}
    | {name: kind if "." in name else "object" for name, kind in EXECUTION.items()}
)
SCHEDULE = STARTED | {"cron": "cron", "timeZone": "zone", "overlap": "choice", "enabled": "flag"}


def session_body(world: World) -> dict[str, Any]:
    """Every field of a new session."""
    return {"agentType": "custom", "agentId": world["agent"], "configuration": configuration()}


def configuration() -> dict[str, Any]:
    """Every field of a session's configuration."""
    return {
        "capabilities": ["code_generation"],
        "timeout": 45_000,
        "maxConcurrentTasks": 3,
        "permissionMode": "plan",
        "tokenBudget": 1000,
    }


def message_body(world: World) -> dict[str, Any]:
    """Every field of a message."""
    return {"content": "Say hello", "metadata": {"type": "code_generation", "priority": "high"}}


def task_body(world: World) -> dict[str, Any]:
    """Every field of a task."""
    return {
        "type": "code_generation",
        "description": "Implement it",
        "requirements": ["Use JWT tokens"],
        "priority": "high",
        "context": {"branch": "feature/auth"},
        "timeout": 60_000,
        "sessionId": world["session"],
    }


def routed_task_body(world: World) -> dict[str, Any]:
    """Every field of a task that names no agent."""
    assert world.agent
    return task_body(world) | {"agentType": "custom", "capabilities": ["code_generation"]}


def agent_body(world: World) -> dict[str, Any]:
    """Every field of an agent."""
    return {"type": "custom"} | agent_patch(world)


def agent_patch(world: World) -> dict[str, Any]:
    """Every field of an agent that can be changed."""
    return {
        "name": "another",
        "backend": "echo",
        "capabilities": ["review"],
        "maxConcurrentTasks": 7,
        "defaultDuration": 90_000,
        "config": {"key": "value"},
    }


def template_body(world: World) -> dict[str, Any]:
    """Every field of a template."""
    return {"id": f"new-{world['template']}"} | template_put(world)


def template_put(world: World) -> dict[str, Any]:
    """Every field of a new version of a template."""
    steps = [{"id": "plan", "name": "Plan", "type": "agent", "prompt": "Plan {{ context.goal }}"}]
    return {"name": "Another", "description": "What it is for", "steps": steps}


def workflow_body(world: World) -> dict[str, Any]:
    """Every field of a workflow."""
    data = {"name": "Mine", "context": {"goal": "a page"}, "stepData": {"work": {"priority": "high"}}}
    return {"templateId": world["template"], "workflowData": data}


def start_body(world: World) -> dict[str, Any]:
    """Every field of a workflow's start."""
    return {"executionContext": {"priority": "high", "timeout": 7_200_000, "notifications": True}}


def schedule_body(world: World) -> dict[str, Any]:
    """Every field of a schedule."""
    when = {"cron": "*/15 8-18 * * MON-FRI", "timeZone": "Europe/Berlin", "overlap": "queue", "enabled": True}
    return {"name": "Every morning"} | workflow_body(world) | start_body(world) | when


def trigger_body(world: World) -> dict[str, Any]:
    """Every field of a trigger."""
    return {"name": "Pushes", "secret": "a-secret-of-some-length"} | workflow_body(world) | start_body(world)


def token_body(world: World) -> dict[str, Any]:
    """Every field of a token."""
    return {"name": "ci", "scopes": ["read", "write"], "expiresAt": SOON, "rateLimit": "5000/15m"}


ROUTES = [
    Route("GET", "/system/status", "read"),
    Route("GET", "/org", "admin"),
    Route(
        "PATCH",
        "/org",
        "admin",
        body=lambda world: {"name": "Wonderland", "rateLimit": "2000/15m", "tokenBudget": 10, "maxRunning": 3},
        fields={"name": "text", "rateLimit": "rate?", "tokenBudget": "count?", "maxRunning": "whole?"},
    ),
    Route("GET", "/org/usage", "admin"),
    Route("GET", "/tokens", "admin", items="tokens"),
    Route(
        "POST",
        "/tokens",
        "admin",
        201,
        token_body,
        fields={"name": "text", "scopes": "choices", "expiresAt": "moment?", "rateLimit": "rate"},
        required=("name", "scopes"),
    ),
    Route("GET", "/tokens/{token}", "admin"),
    Route("DELETE", "/tokens/{token}", "admin"),
    Route("GET", "/events", "read", items="events", filters=("types", "after")),
    Route("GET", "/events/stream", "read", stream=True),
    Route("GET", "/events/{event}", "read"),
    Route("GET", "/agents", "read", items="agents", filters=("type", "status", "capability")),
    Route(
        "POST",
        "/agents",
        "write",
        201,
        agent_body,
        fields={"type": "choice"} | AGENT,
        required=("name", "type", "backend"),
    ),
    Route("GET", "/agents/{agent}", "read"),
    Route("PATCH", "/agents/{agent}", "write", body=agent_patch, fields=AGENT),
    Route("DELETE", "/agents/{agent}", "write"),
    Route("GET", "/agents/{agent}/status", "read"),
    Route("POST", "/agents/{agent}/pause", "write"),
    Route("POST", "/agents/{agent}/resume", "write"),
    Route("POST", "/agents/{agent}/drain", "write"),
    Route("POST", "/agents/{runner}/heartbeat", "agents"),
    Route("POST", "/agents/{runner}/lease", "agents", 200, lambda world: {"wait": 0}, fields={"wait": "wait"}),
    Route(
        "POST",
        "/agents/{agent}/tasks",
        "write",
        202,
        task_body,
        fields=TASK,
        required=("type", "description"),
        foreign={"sessionId": "session"},
    ),
    Route(
        "GET",
        "/tasks",
        "read",
        items="tasks",
        filters=("status", "agentId", "workflowId", "sessionId", "type"),
    ),
    Route(
        "POST",
        "/tasks",
        "write",
        202,
        routed_task_body,
        fields=TASK | {"agentType": "choice", "capabilities": "texts"},
        required=("type", "description", "agentType"),
        foreign={"sessionId": "session"},
    ),
    Route("GET", "/tasks/{task}", "read"),
    Route("GET", "/tasks/{task}/log", "read", items="log"),
    Route("POST", "/tasks/{task}/cancel", "write"),
    Route("POST", "/tasks/{cancelled_task}/retry", "write"),
    Route(
        "POST",
        "/tasks/{leased_task}/progress",
        "agents",
        200,
        lambda world: {"leaseToken": world.lease["leaseToken"], "progress": 0.5, "message": "half"},
        fields={"leaseToken": "text", "progress": "fraction", "message": "note"},
        required=("leaseToken", "progress"),
    ),
    Route(
        "POST",
        "/tasks/{leased_task}/complete",
        "agents",
        200,
        lambda world: {"leaseToken": world.lease["leaseToken"], "result": {"content": "done"}},
        fields={"leaseToken": "text", "result": "object"},
        required=("leaseToken", "result"),
    ),
    Route(
        "POST",
        "/tasks/{leased_task}/fail",
        "agents",
        200,
        lambda world: {"leaseToken": world.lease["leaseToken"], "error": "it broke", "retryable": False},
        fields={"leaseToken": "text", "error": "text", "retryable": "flag"},
        required=("leaseToken", "error"),
    ),
    Route("GET", "/actions", "read", items="actions", filters=("status", "kind", "sessionId", "taskId")),
    Route("GET", "/actions/{action}", "read"),
    Route(
        "POST",
        "/actions/{action}/confirm",
        "write",
        200,
        lambda world: {
            "confirmed": True,
            "sessionId": world["session"],
            "reason": "looks right",
            "updatedInput": {"command": "ls -l"},
            "alwaysAllow": False,
            "onDeny": "continue",
        },
        fields={
            "confirmed": "flag",
            "sessionId": "text?",
            "reason": "note?",
            "updatedInput": "object?",
            "alwaysAllow": "flag",
            "onDeny": "choice?",
        },
        required=("confirmed",),
        foreign={"sessionId": "session"},
    ),
    Route("GET", "/sessions", "read", items="sessions", filters=("status", "agentType")),
    Route(
        "POST",
        "/sessions",
        "write",
        201,
        session_body,
        fields={"agentType": "choice"} | CONFIGURATION,
        required=("agentType",),
        foreign={"agentId": "agent"},
    ),
    Route("GET", "/sessions/{session}", "read"),
    Route(
        "PATCH",
        "/sessions/{session}",
        "write",
        body=lambda world: {"configuration": configuration()},
        fields=CONFIGURATION,
        required=("configuration",),
    ),
    Route("DELETE", "/sessions/{session}", "write"),
    Route("GET", "/sessions/{session}/messages", "read", items="messages", filters=("status",)),
    Route(
        "POST",
        "/sessions/{session}/messages",
        "write",
        202,
        message_body,
        fields={"content": "text", "metadata": "object?"},
        required=("content",),
    ),
    Route("GET", "/sessions/{session}/messages/{message}", "read"),
    Route("POST", "/sessions/{session}/messages/{message}/cancel", "write"),
    Route("GET", "/sessions/{session}/files", "read", items="files", filters=("prefix",)),
    Route("GET", "/sessions/{session}/files/{file}", "read", raw=True),
    Route("PUT", "/sessions/{session}/files/{new_file}", "write", 201, raw=True),
    Route("DELETE", "/sessions/{session}/files/{file}", "write"),
    Route("GET", "/workflow-templates", "read", items="templates"),
    Route(
        "POST",
        "/workflow-templates",
        "write",
        201,
        template_body,
        fields={"id": "identifier"} | TEMPLATE,
        required=("id", "name", "steps"),
    ),
    Route("GET", "/workflow-templates/{template}", "read"),
    Route(
        "PUT",
        "/workflow-templates/{template}",
        "write",
        200,
        template_put,
        fields=TEMPLATE,
        required=("name", "steps"),
    ),
    Route("DELETE", "/workflow-templates/{template}", "write"),
    Route("GET", "/workflows", "read", items="workflows", filters=("status", "templateId", "scheduleId", "triggerId")),
    Route(
        "POST",
        "/workflows",
        "write",
        201,
        workflow_body,
        fields={"templateId": "text"} | WORKFLOW_DATA,
        required=("templateId",),
        foreign={"templateId": "template"},
    ),
    Route("GET", "/workflows/{workflow}", "read"),
    Route("GET", "/workflows/{workflow}/graph", "read", picture="image/svg+xml; charset=utf-8"),
    Route("POST", "/workflows/{workflow}/start", "write", 200, start_body, fields=EXECUTION),
    Route("POST", "/workflows/{running_workflow}/pause", "write"),
    Route("POST", "/workflows/{paused_workflow}/resume", "write"),
    Route("POST", "/workflows/{running_workflow}/cancel", "write"),
    Route(
        "POST",
        "/workflows/{failed_workflow}/retry",
        "write",
        200,
        lambda world: {"fromStep": "ask"},
        fields={"fromStep": "text?"},
    ),
    Route(
        "POST",
        "/workflows/{running_workflow}/signal",
        "write",
        200,
        lambda world: {"stepId": "ask", "approved": True, "data": {"by": "hand"}},
        fields={"stepId": "text", "approved": "flag", "data": "object?"},
        required=("stepId", "approved"),
    ),
    Route("GET", "/schedules", "read", items="schedules"),
    Route(
        "POST",
        "/schedules",
        "write",
        201,
        schedule_body,
        fields=SCHEDULE,
        required=("templateId", "cron"),
        foreign={"templateId": "template"},
    ),
    Route("GET", "/schedules/{schedule}", "read"),
    Route(
        "PATCH",
        "/schedules/{schedule}",
        "write",
        200,
        schedule_body,
        fields=SCHEDULE,
        foreign={"templateId": "template"},
    ),
    Route("DELETE", "/schedules/{schedule}", "write"),
    Route("GET", "/triggers", "read", items="triggers"),
    Route(
        "POST",
        "/triggers",
        "write",
        201,
        trigger_body,
        fields=STARTED | {"secret": "secret?"},
        required=("templateId",),
        foreign={"templateId": "template"},
    ),
    Route("GET", "/triggers/{trigger}", "read"),
    Route("DELETE", "/triggers/{trigger}", "write"),
]

# Answered without a token; a hook's callers sign instead.
OPEN = ("/health", "/livez", "/readyz", "/metrics", "/hooks/{}")

LISTS = [route for route in ROUTES if route.items]
WRITES = [route for route in ROUTES if route.takes_body]
WITH_BODY = [route for route in ROUTES if route.body]
TAKE_FILES = [route for route in ROUTES if route.raw and route.method == "PUT"]
ANSWER_FILES = [route for route in ROUTES if route.raw and route.method == "GET"]
ANSWER_PICTURES = [route for route in ROUTES if route.picture]
ANSWER_STREAMS = [route for route in ROUTES if route.stream]
ENVELOPED = [route for route in ROUTES if route not in ANSWER_FILES + ANSWER_PICTURES + ANSWER_STREAMS]
ACTIONS = [route for route in ROUTES if route.method == "POST" and not route.body]
