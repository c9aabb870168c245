"""The events of agents, of budgets, and of what people are asked."""

from .event_type import EventType
from .fields import free, moment, one_of, text, whole
from .shared import ACTION_ID, AGENT_TYPE

_ACTION = {
    "actionId": text("The action.", "action_123456789"),
    "kind": one_of("What is asked for.", "tool", "budget", "approval"),
    "tool": text("The tool.", "Bash").nullable(),
    "risk": one_of("How much harm it could do.", "low", "medium", "high"),
    "sessionId": text("The session in which it is asked.", "session_123456789").nullable(),
    "taskId": text("The task that asks.", "task_123456789").nullable(),
    "messageId": text("The message that the task answers.", "msg_123456789").nullable(),
    "workflowId": text("The workflow whose step asks.", "workflow_123456789").nullable(),
}
_ASKED = {
    "input": free("What the tool is to be called with, or the budget as it is.", {"command": "npm install"}),
    "diff": text("What it would change, where that is known.", "+ bcrypt").nullable(),
    "expiresAt": moment("When it is too late to decide; null for never.").nullable(),
}
_DECISION = _ACTION | {
    "decidedBy": text("Who decided; null where nobody did.", "laptop").nullable(),
    "reason": text("Why, where a reason was given.", "Not on this branch.").nullable(),
}
_AGENT = {"agentId": text("The agent.", "agent_123456789")}
_STATUS = {
    "status": one_of("What it is now.", "active", "paused", "draining", "error", "offline"),
    "reason": text("Why, where there is something to say.", "Drained.").nullable(),
}
_BROKEN = {
    "name": text("Its name.", "Codegen"),
    "reason": text("The last failure.", "The agent failed."),
    "failures": whole("How many there were in a row.", 5),
}
_BUDGET = {
    "scope": one_of("Whose budget: a session's or the organization's.", "session", "org"),
    "tokenBudget": whole("The budget, in tokens.", 100_000),
    "tokensUsed": whole("How many were used.", 100_250),
    "sessionId": text("The session, of a session's budget.", "session_123456789").nullable(),
    "actionId": ACTION_ID,
}

ACTIONS = (
    EventType("action.pending", "Somebody has to decide something.", _ACTION | _ASKED),
    EventType("action.confirmed", "An action was confirmed.", _DECISION),
    EventType("action.denied", "An action was denied.", _DECISION),
    EventType("action.expired", "Nobody decided in time, or what asked is over.", _DECISION),
)

AGENTS = (
    EventType(
        "agent.registered", "There is a new agent.", _AGENT | {"name": text("Its name.", "Codegen"), "type": AGENT_TYPE}
    ),
    EventType(
        "agent.status",
        "An agent was paused, resumed or drained, breaks down or works again; its runners went away or are back.",
        _AGENT | _STATUS,
    ),
    EventType("agent.error", "An agent has failed too often in a row; it is left alone for a while.", _AGENT | _BROKEN),
)

BUDGETS = (EventType("budget.reached", "A token budget is used up: its work waits until somebody decides.", _BUDGET),)
