"""What clients send about agents and tasks."""

from typing import Any

from rest_framework import serializers

from taskmaster.api.fields import Choice, Flag, Fraction, FreeForm, Text, Texts, Whole

from .models import AGENT_TYPES, PRIORITIES
from .registry import CHOICES


class AgentIn(serializers.Serializer[Any]):
    """A new agent. `defaultDuration`, in milliseconds, is what its tasks are estimated at until there is a history."""

    name = Text(max_length=200)
    type = Choice(AGENT_TYPES)
    backend = Choice(CHOICES)
    capabilities = Texts(required=False)
    maxConcurrentTasks = Whole(required=False, min_value=1, max_value=1000, source="max_concurrent_tasks")
    defaultDuration = Whole(required=False, min_value=1, max_value=86_400_000, source="default_duration")
    config = FreeForm(required=False)


class AgentPatch(AgentIn):
    """A change of an agent: what is not named stays."""

    type = None  # type: ignore[assignment]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, partial=True, **options)


class TaskIn(serializers.Serializer[Any]):
    """A task for one agent. `timeout` is in milliseconds."""

    type = Text(max_length=100)
    description = Text()
    requirements = Texts(required=False, max_items=1000, each=10_000)
    priority = Choice(list(PRIORITIES), required=False)
    context: Any = FreeForm(required=False)
    timeout = Whole(required=False, min_value=1_000, max_value=86_400_000)
    sessionId = Text(required=False, allow_null=True, max_length=64, source="session_id")


class LeaseIn(serializers.Serializer[Any]):
    """Asking for work; `wait` is how long, in milliseconds."""

    wait = Whole(required=False, min_value=0, max_value=30_000)


class Held(serializers.Serializer[Any]):
    """A report on a leased task."""

    leaseToken = Text(max_length=64, source="token")


class ProgressIn(Held):
    """How far it is, 0 to 1."""

    progress = Fraction()
    message = Text(required=False, allow_blank=True, max_length=10_000)


class CompleteIn(Held):
    """How it ended well; the `content` of a result is what a session's message is answered."""

    result = FreeForm()


class FailIn(Held):
    """How it failed; `retryable` asks for another attempt."""

    error = Text(max_length=10_000)
    retryable = Flag(required=False)


class ConfirmIn(serializers.Serializer[Any]):
    """A decision; `updatedInput` takes the place of what was asked for, `onDeny` is whether the agent goes on."""

    confirmed = Flag()
    sessionId = Text(required=False, allow_null=True, max_length=64, source="session_id")
    reason = Text(required=False, allow_null=True, allow_blank=True, max_length=10_000)
    updatedInput: Any = FreeForm(required=False, allow_null=True, source="updated_input")
    alwaysAllow = Flag(required=False, source="always_allow")
    onDeny = Choice(["continue", "stop"], required=False, allow_null=True, source="on_deny")


class RoutedTaskIn(TaskIn):
    """A task for whichever agent fits best."""

    agentType = Choice(AGENT_TYPES, source="agent_type")
    capabilities = Texts(required=False)
