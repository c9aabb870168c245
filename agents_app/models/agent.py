"""Who does the work."""

from typing import Any

from django.db import models
from django.db.models import Q

from taskmaster.core.clock import now
from taskmaster.core.fields import EncryptedJsonField, JsonField
from taskmaster.core.ids import LENGTH, id_factory
from taskmaster.orgs.models import Organization

AGENT_TYPES = ("codegen", "claude", "custom")


class Agent(models.Model):
    """An agent of an organization: a backend, its configuration, and how much it may do at once.

    `status` is what somebody or something decided: active, paused, draining (finishes what runs, takes nothing new)
    or error (it failed too often in a row and is tried again, one task at a time, from `retry_at` on). Whether it is
    busy or offline is counted when it is asked for.
    """

    ACTIVE, PAUSED, DRAINING, ERROR = "active", "paused", "draining", "error"

    id = models.CharField(primary_key=True, max_length=LENGTH, default=id_factory("agent"), editable=False)
    org = models.ForeignKey(Organization, models.CASCADE, db_index=False, related_name="agents")
    name = models.CharField(max_length=200)
    type = models.CharField(max_length=16, choices=[(kind, kind) for kind in AGENT_TYPES])
    backend = models.CharField(max_length=16)
    config = EncryptedJsonField(default=dict, blank=True)
    capabilities = JsonField(default=list)
    max_concurrent_tasks = models.PositiveIntegerField(default=5)
    status = models.CharField(
        max_length=16, default=ACTIVE, choices=[(s, s) for s in (ACTIVE, PAUSED, DRAINING, ERROR)]
    )
    reason = models.TextField(blank=True)
    failures = models.PositiveIntegerField(default=0, editable=False, help_text="Attempts that failed in a row.")
    retry_at = models.DateTimeField(null=True, blank=True, editable=False)
    default_duration = models.PositiveIntegerField(
        default=60_000, help_text="Milliseconds, told until there is a history."
    )
    last_heartbeat = models.DateTimeField(null=True, blank=True, editable=False, help_text="Of its runners, if any.")
    present = models.BooleanField(
        default=False, editable=False, help_text="Whether a runner was there when the event log was last told of it."
    )
    internal = models.BooleanField(default=False, editable=False, help_text="Works for the product itself; not shown.")
    created_at = models.DateTimeField(default=now, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        indexes = [models.Index(fields=["org", "type", "id"], name="agent_of_org", condition=Q(deleted_at=None))]

    def __str__(self) -> str:
        return f"{self.name} ({self.backend})"

    def can(self, capabilities: list[str]) -> bool:
        """Whether it has all of them."""
        return set(capabilities) <= set(self.capabilities)

    def described(self) -> dict[str, Any]:
        """What the agent is, without how it is doing."""
        return {
            "id": self.id,
            "name": self.name,
            "type": self.type,
            "backend": self.backend,
            "capabilities": self.capabilities,
            "maxConcurrentTasks": self.max_concurrent_tasks,
            "defaultDuration": self.default_duration,
        }
