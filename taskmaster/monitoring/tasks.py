"""What Celery runs to keep the tables small."""

from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.db.models.functions import Now

from agents_app.models import Action, ClosedCredential, Task, Worker
from sessions_app.models import Message
from taskmaster.api.idempotency import KEPT
from taskmaster.api.models import IdempotencyKey
from taskmaster.core.clock import now
from taskmaster.events.models import Event
from workflows_app.deliveries import REMEMBERED
from workflows_app.models import TriggerDelivery, Workflow

from .models import WebServer

FORGOTTEN = timedelta(minutes=10)
AT_ONCE = 5_000
# Of each of these many rows of other tables go with it.
FEWER_AT_ONCE = {"workflows": 500}

# What is pruned where a retention is set: the rows that may go, and the field that tells their age.
PRUNED = {
    "events": (Event.objects.filter(sequence__isnull=False), "created_at"),
    "messages": (Message.objects.filter(status__in=Message.FINISHED), "finished_at"),
    "tasks": (Task.objects.filter(status__in=Task.FINISHED), "finished_at"),
    "actions": (Action.objects.exclude(status=Action.PENDING), "decided_at"),
    "workflows": (Workflow.objects.filter(status__in=Workflow.FINISHED), "finished_at"),
}


@shared_task(name="monitoring.sweep")
def sweep() -> None:
    """Forget old idempotency keys and deliveries, processes that are long gone, and what the retention lets go."""
    IdempotencyKey.objects.filter(created_at__lt=now() - KEPT).delete()
    TriggerDelivery.objects.filter(created_at__lt=now() - REMEMBERED).delete()
    ClosedCredential.objects.filter(until__lt=now()).delete()
    for model in (Worker, WebServer):
        model.objects.filter(beat_at__lt=Now() - FORGOTTEN).delete()
    for table, seconds in settings.RETENTION.items():
        if seconds is not None:
            rows, age = PRUNED[table]
            old = rows.filter(**{f"{age}__lt": now() - timedelta(seconds=seconds)}).order_by(age)
            chosen = list(old.values_list("pk", flat=True)[: FEWER_AT_ONCE.get(table, AT_ONCE)])
            rows.filter(pk__in=chosen).delete()
