"""What clients send about workflows."""

from typing import Any

from rest_framework import serializers

from agents_app.models import PRIORITIES
from taskmaster.api.fields import Choice, Flag, FreeForm, Text, Whole


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


class RetryIn(serializers.Serializer[Any]):
    """Running a failed one again."""

    fromStep = Text(required=False, allow_null=True, max_length=64, source="from_step")


class SignalIn(serializers.Serializer[Any]):
    """Deciding an approval step."""

    stepId = Text(max_length=64, source="step_id")
    approved = Flag()
    data: Any = FreeForm(required=False, allow_null=True)
