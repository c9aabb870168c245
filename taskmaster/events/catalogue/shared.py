"""Fields that events of several subjects have."""

from .fields import one_of, text, whole

AGENT_TYPE = one_of("The kind of agent.", "codegen", "claude", "custom")
ERROR = text("What went wrong, for people.", "The agent failed.")
CODE = text("The same as a stable code, such as `agent_failed`, `timeout` or `no_agent`.", "agent_failed")
ATTEMPT = whole("Which attempt it is, from 1.", 1)
ACTION_ID = text("The action that waits for a decision.", "action_123456789")
