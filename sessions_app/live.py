"""The rows of open sockets."""

from datetime import timedelta

from django.db import models
from django.db.models import QuerySet
from django.db.models.functions import Now

from taskmaster.core.clock import now
from taskmaster.core.fields import JsonField
from taskmaster.core.ids import LENGTH, id_factory

BEAT_SECONDS = 2.0
# The sockets of a server that missed this many seconds of beats are not counted: it was killed.
GONE_SECONDS = 10.0


class LiveServer(models.Model):
    """A process that holds sockets, as it was at its last heartbeat."""

    id = models.CharField(primary_key=True, max_length=LENGTH, default=id_factory("live"), editable=False)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField(default=now)
    beat_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


class LiveSocket(models.Model):
    """An open socket of a session; `names` is what it is subscribed to."""

    id = models.CharField(primary_key=True, max_length=LENGTH, editable=False)
    server = models.ForeignKey(LiveServer, models.CASCADE, related_name="sockets")
    session = models.ForeignKey("sessions_app.Session", models.CASCADE, related_name="live_sockets")
    names = JsonField(default=list)
    opened_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"{self.session_id} {self.id}"

    @classmethod
    def open(cls) -> "QuerySet[LiveSocket]":
        """Those of servers that live."""
        return cls.objects.filter(server__beat_at__gt=Now() - timedelta(seconds=GONE_SECONDS))
