"""The web servers, as they were at their last heartbeat."""

from datetime import timedelta

from django.db import models
from django.db.models import QuerySet
from django.db.models.functions import Now

from taskmaster.core.clock import now
from taskmaster.core.ids import LENGTH, id_factory

BEAT_SECONDS = 2.0
GONE_SECONDS = 10.0


class WebServer(models.Model):
    """A process that answers HTTP."""

    id = models.CharField(primary_key=True, max_length=LENGTH, default=id_factory("web"), editable=False)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    connections = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(default=now)
    beat_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"

    @classmethod
    def live(cls) -> "QuerySet[WebServer]":
        """Those that beat a moment ago."""
        return cls.objects.filter(beat_at__gt=Now() - timedelta(seconds=GONE_SECONDS))
