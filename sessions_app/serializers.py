"""What clients send about sessions and messages."""

from typing import Any

from rest_framework import serializers

from agents_app.models import AGENT_TYPES
from taskmaster.api.fields import Choice, Flag, FreeForm, Text, Texts, Whole

from .models import PERMISSION_MODES

MAX_CONTENT_BYTES = 256 * 1024


class ConfigurationIn(serializers.Serializer[Any]):
    """A session's configuration. Times are milliseconds."""

    capabilities = Texts(required=False)
    timeout = Whole(required=False, min_value=1_000, max_value=600_000)
    maxConcurrentTasks = Whole(required=False, min_value=1, max_value=100, source="max_concurrent_tasks")
    permissionMode = Choice(PERMISSION_MODES, required=False, source="permission_mode")
    tokenBudget = Whole(required=False, min_value=1, max_value=2**53 - 1, allow_null=True, source="token_budget")


class SessionIn(serializers.Serializer[Any]):
    """A new session."""

    agentType = Choice(AGENT_TYPES, source="agent_type")
    agentId = Text(required=False, allow_null=True, max_length=64, source="agent_id")
    configuration = ConfigurationIn(required=False)


class SessionPatch(serializers.Serializer[Any]):
    """A change of a session's configuration: what is not named stays."""

    configuration = ConfigurationIn()


class MessageIn(serializers.Serializer[Any]):
    """A message: at most 256 KB of text, and the user's own metadata."""

    content = Text()
    metadata = FreeForm(required=False, allow_null=True)

    def validate_content(self, content: str) -> str:
        """Within its size."""
        if len(content.encode()) > MAX_CONTENT_BYTES:
            raise serializers.ValidationError("at most 256 KB")
        return content


class SignalIn(serializers.Serializer[Any]):
    """A decision on a workflow's approval step, in a frame of a socket."""

    stepId = Text(max_length=64, source="step_id")
    approved = Flag()
    data: Any = FreeForm(required=False, allow_null=True)
