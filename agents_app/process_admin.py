"""Processes in the admin, each as it was at its last heartbeat."""

from typing import Any

from django.contrib import admin
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.http import HttpRequest

from taskmaster.events.admin import ReadOnlyAdmin, as_json

from .models import Worker


class ProcessAdmin(ReadOnlyAdmin):
    """Processes, each as it was at its last heartbeat."""

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        """With whether each beat a moment ago, by the database's clock."""
        alive = ExpressionWrapper(Q(pk__in=self.model.live().values("pk")), output_field=BooleanField())
        processes: QuerySet[Any] = super().get_queryset(request).annotate(alive=alive)
        return processes

    @admin.display(boolean=True, description="live")
    def live(self, process: Any) -> bool:
        """Whether it beat a moment ago."""
        return bool(process.alive)


@admin.register(Worker)
class WorkerAdmin(ProcessAdmin):
    """The processes that run agents."""

    fields = readonly_fields = ("id", "host", "pid", "live", "running", as_json("unready"), "started_at", "beat_at")
    list_display = ("id", "host", "pid", "live", "running", "started_at", "beat_at")
    searched = {"worker": "pk"}
    search_help_text = "A worker's id."
