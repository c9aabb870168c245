"""What clients send about workflows."""

from typing import Any

from rest_framework import serializers

from agents_app.models import PRIORITIES
from taskmaster.api.fields import Choice, Flag, FreeForm, Text, Whole

from . import cron
from .models import OVERLAPS


class TemplateIn(serializers.Serializer[Any]):
    """A template, as the API's description tells it; `definitions.read_template` checks it."""

    id = Text(max_length=64)
    name = Text(max_length=200)
    description = Text(required=False, allow_null=True, allow_blank=True, max_length=10_000)
    steps = serializers.JSONField()


class TemplatePut(serializers.Serializer[Any]):
    """A new version of a template."""

    name = Text(max_length=200)
    description = Text(required=False, allow_null=True, allow_blank=True, max_length=10_000)
    steps = serializers.JSONField()


class WorkflowData(serializers.Serializer[Any]):
    """What a workflow is about."""

    name = Text(required=False, allow_null=True, max_length=200)
    context: Any = FreeForm(required=False, allow_null=True)
    stepData: Any = FreeForm(required=False, allow_null=True)


class WorkflowIn(serializers.Serializer[Any]):
    """A new workflow."""

    templateId = Text(max_length=64, source="template_id")
    workflowData = WorkflowData(required=False, allow_null=True, source="workflow_data")


class ExecutionContext(serializers.Serializer[Any]):
    """How it is to run; `timeout` is in milliseconds, at most 30 days."""

    priority = Choice(list(PRIORITIES), required=False, allow_null=True)
    timeout = Whole(required=False, allow_null=True, min_value=1_000, max_value=2_592_000_000)
    notifications = Flag(required=False)


class StartIn(serializers.Serializer[Any]):
    """Starting a workflow."""

    executionContext = ExecutionContext(required=False, allow_null=True, source="execution_context")


class Cron(Text):
    """A cron expression."""

    def to_internal_value(self, data: Any) -> str:
        """The expression itself."""
        text = super().to_internal_value(data)
        try:
            cron.check(text)
        except cron.BadCron as bad:
            raise serializers.ValidationError(str(bad)) from None
        return text


class TimeZone(Text):
    """A time zone's IANA name."""

    def to_internal_value(self, data: Any) -> str:
        """The name itself."""
        text = super().to_internal_value(data)
        if text not in cron.zones():
            raise serializers.ValidationError("must be the IANA name of a time zone, such as Europe/Berlin")
        return text


class SchedulePatch(serializers.Serializer[Any]):
    """A change of a schedule: what is not named stays."""

    name = Text(required=False, max_length=200)
    templateId = Text(required=False, max_length=64, source="template_key")
    workflowData = WorkflowData(required=False, source="workflow_data")
    executionContext = ExecutionContext(required=False, source="execution_context")
    cron = Cron(required=False)
    timeZone = TimeZone(required=False, source="time_zone")
    overlap = Choice(OVERLAPS, required=False)
    enabled = Flag(required=False)


class ScheduleIn(SchedulePatch):
    """A new schedule."""

    templateId = Text(max_length=64, source="template_key")
    cron = Cron()


class TriggerIn(serializers.Serializer[Any]):
    """A new trigger; without a `secret` one is made."""

    name = Text(required=False, max_length=200)
    templateId = Text(max_length=64, source="template_key")
    workflowData = WorkflowData(required=False, source="workflow_data")
    executionContext = ExecutionContext(required=False, source="execution_context")
    secret = Text(required=False, allow_null=True, min_length=16, max_length=256)


class RetryIn(serializers.Serializer[Any]):
    """Running a failed one again."""

    fromStep = Text(required=False, allow_null=True, max_length=64, source="from_step")


class SignalIn(serializers.Serializer[Any]):
    """Deciding an approval step."""

    stepId = Text(max_length=64, source="step_id")
    approved = Flag()
    data: Any = FreeForm(required=False, allow_null=True)
