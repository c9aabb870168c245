"""An organization's own templates."""

from typing import Any

from django.db import models
from django.db.models import Q

from taskmaster.core.clock import iso, now
from taskmaster.core.fields import JsonField
from taskmaster.orgs.models import Organization


class WorkflowTemplate(models.Model):
    """One version of a template. A workflow keeps the version that it was made from; the newest is for new ones."""

    org = models.ForeignKey(Organization, models.CASCADE, db_index=False, related_name="workflow_templates")
    key = models.CharField(max_length=64)
    version = models.PositiveIntegerField(default=1)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    steps = JsonField(default=list)
    created_at = models.DateTimeField(default=now)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["org", "key", "version"], name="one_template_a_version")]
        indexes = [
            models.Index(fields=["org", "key", "-version"], name="template_of_org", condition=Q(deleted_at=None))
        ]

    def __str__(self) -> str:
        return f"{self.key} v{self.version}"

    def public(self) -> dict[str, Any]:
        """The template as the API shows it."""
        return {
            "id": self.key,
            "name": self.name,
            "description": self.description or None,
            "version": self.version,
            "builtIn": False,
            "steps": self.steps,
            "createdAt": iso(self.created_at),
        }
