"""Prometheus metrics, counted when they are asked for, so that every process tells the same."""

from collections.abc import Iterator

from django.db.models import Count
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from agents_app.models import Task, Worker
from sessions_app.models import Message, Session
from taskmaster.events.models import Event
from workflows_app.models import Workflow

from .models import WebServer
from .process import process


class _Numbers:
    def collect(self) -> Iterator[Metric]:
        yield _by_status("taskmaster_tasks", "Unfinished tasks by status.", Task, Task.UNFINISHED)
        yield _by_status(
            "taskmaster_messages", "Unfinished messages by status.", Message, (Message.QUEUED, Message.PROCESSING)
        )
        yield _by_status(
            "taskmaster_workflows", "Unfinished workflows by status.", Workflow, (Workflow.CREATED, *Workflow.STARTED)
        )
        sessions = Session.objects.filter(deleted_at=None, status=Session.ACTIVE).count()
        yield GaugeMetricFamily("taskmaster_sessions_active", "Open sessions.", value=sessions)
        waiting = Event.objects.filter(sequence=None).count()
        yield GaugeMetricFamily(
            "taskmaster_events_unnumbered", "Events that the relay has not numbered.", value=waiting
        )
        yield GaugeMetricFamily("taskmaster_workers", "Live worker processes.", value=Worker.live().count())
        connections = sum(WebServer.live().values_list("connections", flat=True))
        yield GaugeMetricFamily("taskmaster_connections", "Open HTTP connections.", value=connections)
        yield GaugeMetricFamily(
            "taskmaster_uptime_seconds", "Seconds since this process started.", value=process.uptime
        )


def _by_status(name: str, text: str, model: type[Task | Message | Workflow], statuses: tuple[str, ...]) -> Metric:
    counts = dict(model.objects.filter(status__in=statuses).order_by().values_list("status").annotate(Count("pk")))
    gauge = GaugeMetricFamily(name, text, labels=["status"])
    for status in statuses:
        gauge.add_metric([status], counts.get(status, 0))
    return gauge


def exposition() -> bytes:
    """The text that Prometheus reads."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Numbers())
    return generate_latest(registry)
