"""What an Idempotency-Key was answered."""

from django.db import models

from taskmaster.core.clock import now
from taskmaster.orgs.models import Organization


class IdempotencyKey(models.Model):
    """The stored answer to one POST. The answer is sealed, since it may hold a secret that was shown once."""

    org = models.ForeignKey(Organization, models.CASCADE, db_index=False)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(default=0)
    location = models.CharField(max_length=255, blank=True)
    sealed = models.TextField(blank=True)
    # What the caller still waits for; the final answer takes the place of the interim one when it is there.
    waits_for = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(default=now, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["org", "key"], name="idempotency_key")]

    def __str__(self) -> str:
        return self.key
