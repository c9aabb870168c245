"""What tasks said while they ran, in the admin."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.functions import Left
from django.utils.html import format_html, format_html_join
from django.utils.text import Truncator

from taskmaster.core.clock import iso
from taskmaster.events.admin import NOTHING, ReadOnlyAdmin, link, link_to_list

from .models import LogLine, Task

SHOWN_OF_A_TASK = 200
EXCERPT = 500
LISTED = 100
PRE = '<pre style="margin:0;white-space:pre-wrap;overflow-wrap:anywhere">{}</pre>{}'


@admin.register(LogLine)
class LogLineAdmin(ReadOnlyAdmin):
    """Lines of logs."""

    fields = readonly_fields = ("id", "task_link", "attempt", "at", "text")
    list_display = ("at", "attempt", "beginning", "task_link", "id")
    searched = {"task": "task_id"}
    search_help_text = "A task's id."

    def light(self, queryset: "QuerySet[LogLine]") -> "QuerySet[LogLine]":
        """With the beginning of each, which says more than other lists' excerpts."""
        return queryset.annotate(begins=Left("text", LISTED + 1)).defer("text")

    @admin.display(description="text")
    def beginning(self, line: Any) -> str:
        """What it says, if that is not too long."""
        return Truncator(line.begins).chars(LISTED)

    @admin.display(description="task")
    def task_link(self, line: LogLine) -> str:
        """Whose log it is in."""
        return link("agents_app_task", line.task_id)


def log_of(task: Task) -> str:
    """The last lines of a task's log, oldest first, as HTML."""
    lines = LogLine.objects.filter(task=task.pk).order_by("-id")
    newest = list(lines.values_list("at", "attempt", Left("text", EXCERPT + 1))[: SHOWN_OF_A_TASK + 1])
    if not newest:
        return NOTHING
    shown = [(iso(at), attempt, Truncator(text).chars(EXCERPT)) for at, attempt, text in newest[:SHOWN_OF_A_TASK]]
    label = f"Only the last {SHOWN_OF_A_TASK} lines: see all" if len(newest) > SHOWN_OF_A_TASK else "See all"
    link_to_all = format_html("<p>{}</p>", link_to_list("agents_app_logline", task.pk, label))
    return format_html(PRE, format_html_join("\n", "{}  {}  {}", reversed(shown)), link_to_all)
