"""Organizations, and the tokens their clients call with."""

from datetime import datetime
from typing import Any

from django.db import models

from taskmaster.core.clock import iso, now
from taskmaster.core.fields import JsonField
from taskmaster.core.ids import LENGTH, id_factory

SCOPES = {
    "read": "See everything of the organization",
    "write": "Create and change sessions, messages, tasks and workflows",
    "agents": "Work as a runner: heartbeat, lease, complete",
    "admin": "Manage tokens and limits",
}


class Organization(models.Model):
    """A tenant. Everything else belongs to one, and nothing is ever shared between two."""

    id = models.CharField(primary_key=True, max_length=LENGTH, default=id_factory("org"), editable=False)
    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200, blank=True)
    rate_limit = models.CharField(
        max_length=32, blank=True, help_text="For each token, such as 1000/15m; empty: the default."
    )
    token_budget = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="How many tokens its agents may use in all; empty: any number."
    )
    max_running = models.PositiveIntegerField(
        null=True, blank=True, help_text="How many tasks its agents may run at once in all; empty: the default."
    )
    suspended_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)

    def __str__(self) -> str:
        return self.slug

    @property
    def is_suspended(self) -> bool:
        """Whether its tokens are refused for the time being."""
        return self.suspended_at is not None

    def public(self) -> dict[str, Any]:
        """The organization as the API shows it."""
        return {
            "id": self.id,
            "slug": self.slug,
            "name": self.name,
            "rateLimit": self.rate_limit or None,
            "tokenBudget": self.token_budget,
            "maxRunning": self.max_running,
            "suspended": self.is_suspended,
            "createdAt": iso(self.created_at),
        }


class ApiToken(models.Model):
    """A bearer token. Only a keyed hash of it is stored, so it can be shown once and never again."""

    id = models.CharField(primary_key=True, max_length=LENGTH, default=id_factory("tok"), editable=False)
    org = models.ForeignKey(Organization, models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=200)
    scopes = JsonField(default=list)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    last_four = models.CharField(max_length=4, editable=False)
    rate_limit = models.CharField(max_length=32, blank=True, help_text="Such as 1000/15m; empty: the organization's.")
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        verbose_name = "API token"
        indexes = [models.Index(fields=["org", "-id"], name="token_of_org")]

    def __str__(self) -> str:
        return f"{self.name} (…{self.last_four})"

    def is_valid(self, at: datetime) -> bool:
        """Whether it may be used at that moment."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > at)

    def public(self) -> dict[str, Any]:
        """The token as the API shows it: never its secret."""
        return {
            "id": self.id,
            "name": self.name,
            "scopes": self.scopes,
            "lastFour": self.last_four,
            "rateLimit": self.rate_limit or None,
            "expiresAt": iso(self.expires_at),
            "revokedAt": iso(self.revoked_at),
            "lastUsedAt": iso(self.last_used_at),
            "createdAt": iso(self.created_at),
        }
