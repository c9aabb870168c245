"""Hooks that others call to start workflows."""

from typing import Any

from django.db import models

from taskmaster.core.clock import iso, now
from taskmaster.core.fields import EncryptedJsonField, JsonField
from taskmaster.core.ids import LENGTH, id_factory
from taskmaster.orgs.models import Organization

from .schedule import EXECUTION_CONTEXT, WORKFLOW_DATA


class Trigger(models.Model):
    """A hook: each signed delivery to `/hooks/{id}` starts a workflow. `secret` is sealed, and shown only when made."""

    id = models.CharField(primary_key=True, max_length=LENGTH, default=id_factory("trigger"), editable=False)
    org = models.ForeignKey(Organization, models.CASCADE, db_index=False, related_name="triggers")
    name = models.CharField(max_length=200)
    template_key = models.CharField("template", max_length=64, help_text="A template's id.")
    workflow_data = JsonField(default=dict, blank=True, help_text=WORKFLOW_DATA)
    execution_context = JsonField(default=dict, blank=True, help_text=EXECUTION_CONTEXT)
    secret = EncryptedJsonField(editable=False)
    last_received_at = models.DateTimeField(null=True, editable=False)
    last_workflow_id = models.CharField(max_length=LENGTH, null=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        indexes = [models.Index(fields=["org", "-id"], name="trigger_of_org")]

    def __str__(self) -> str:
        return f"{self.name} {self.id}"

    @property
    def url(self) -> str:
        """Where deliveries go, below the server's address."""
        return f"/api/v1/hooks/{self.id}"

    def public(self) -> dict[str, Any]:
        """The trigger as the API shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "templateId": self.template_key,
            "workflowData": self.workflow_data,
            "executionContext": self.execution_context,
            "url": self.url,
            "lastReceivedAt": iso(self.last_received_at),
            "lastWorkflowId": self.last_workflow_id,
            "createdAt": iso(self.created_at),
        }


class TriggerDelivery(models.Model):
    """A delivery that named itself: the same one again starts nothing."""

    trigger = models.ForeignKey(Trigger, models.CASCADE, db_index=False, related_name="deliveries")
    key = models.CharField(max_length=300)
    fingerprint = models.CharField(max_length=64)
    workflow_id = models.CharField(max_length=LENGTH, blank=True)
    created_at = models.DateTimeField(default=now, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["trigger", "key"], name="one_delivery_a_key")]

    def __str__(self) -> str:
        return f"{self.key} of {self.trigger_id}"
