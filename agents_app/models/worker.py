"""A process that runs agents."""

from datetime import timedelta

from django.db import models
from django.db.models import QuerySet
from django.db.models.functions import Now

from taskmaster.core.clock import now
from taskmaster.core.fields import JsonField
from taskmaster.core.ids import LENGTH, id_factory

BEAT_SECONDS = 2.0
# A worker that missed this many seconds of beats is taken for gone.
GONE_SECONDS = 10.0


class Worker(models.Model):
    """A worker process, as it was at its last heartbeat.

    `unready` has the backends that it cannot run, each with the reason and whether that is for good.
    """

    id = models.CharField(primary_key=True, max_length=LENGTH, default=id_factory("worker"), editable=False)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    running = models.PositiveIntegerField(default=0)
    unready = JsonField(default=dict)
    started_at = models.DateTimeField(default=now)
    beat_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"

    @classmethod
    def live(cls) -> "QuerySet[Worker]":
        """Those that beat a moment ago."""
        return cls.objects.filter(beat_at__gt=Now() - timedelta(seconds=GONE_SECONDS))
