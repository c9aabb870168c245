"""The durable event log."""

from typing import Any

from django.db import models
from django.db.models import Q

from taskmaster.core.clock import iso, now
from taskmaster.core.fields import JsonField
from taskmaster.core.ids import LENGTH, id_factory
from taskmaster.orgs.models import Organization


class Event(models.Model):
    """Something that happened, written in the transaction in which it did.

    `number` is the order of writing, over all organizations. `sequence`, given by the relay after the commit, is the
    order in which an organization's readers see events: from 1, without gaps.
    """

    number = models.BigAutoField(primary_key=True)
    id = models.CharField(max_length=LENGTH, default=id_factory("evt"), unique=True, editable=False)
    org = models.ForeignKey(Organization, models.CASCADE, db_index=False, related_name="events")
    event_type = models.CharField(max_length=64)
    data = JsonField()
    created_at = models.DateTimeField(default=now)
    sequence = models.BigIntegerField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["org", "sequence"], name="event_sequence")]
        indexes = [
            models.Index(fields=["number"], name="event_unnumbered", condition=Q(sequence=None)),
            models.Index(fields=["created_at"], name="event_age"),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.id}"

    def public(self) -> dict[str, Any]:
        """The event as REST tells it."""
        return {
            "id": self.id,
            "eventType": self.event_type,
            "sequence": self.sequence,
            "timestamp": iso(self.created_at),
            "data": self.data,
        }


class EventCursor(models.Model):
    """The last sequence given to an organization's events; only the relay writes it."""

    org = models.OneToOneField(Organization, models.CASCADE, primary_key=True, related_name="event_cursor")
    last_sequence = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.org_id} {self.last_sequence}"
