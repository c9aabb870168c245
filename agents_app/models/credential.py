"""What providers know an organization by."""

from django.db import models

from taskmaster.core.clock import now
from taskmaster.core.fields import EncryptedJsonField
from taskmaster.core.ids import LENGTH, id_factory
from taskmaster.orgs.models import Organization

PROVIDERS = ("openai", "codegen", "claude")


class Credential(models.Model):
    """An organization's access to a provider, for every agent of that backend that has none of its own.

    `fields` are members of a configuration, such as apiKey, orgId and baseUrl: sealed, and never shown again.
    """

    id = models.CharField(primary_key=True, max_length=LENGTH, default=id_factory("cred"), editable=False)
    org = models.ForeignKey(Organization, models.CASCADE, related_name="credentials")
    provider = models.CharField(max_length=16, choices=[(name, name) for name in PROVIDERS])
    fields = EncryptedJsonField(default=dict)
    last_four = models.CharField(max_length=4, blank=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)
    changed_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["org", "provider"], name="one_credential_a_provider")]

    def __str__(self) -> str:
        return f"{self.provider} (…{self.last_four})"


class ClosedCredential(models.Model):
    """A credential that its provider lets nobody use until `until`; `digest` is a keyed hash of it."""

    digest = models.CharField(primary_key=True, max_length=64)
    until = models.DateTimeField()
    reason = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"closed until {self.until}"
