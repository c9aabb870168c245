"""Schedules in the admin: made, changed, switched off and on, deleted."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from taskmaster.events.admin import MadeWithin, link, link_to_list
from taskmaster.orgs.list_filters import by_condition
from taskmaster.orgs.operator_admin import OperatorAdmin

from . import schedules
from .admin_forms import ScheduleForm
from .models import Schedule

TYPED = (
    *("name", "template_key", "cron", "time_zone", "overlap", "enabled"),
    *("workflow_data", "execution_context"),
)
TOLD = ("next_run_at", "last_run_at", "last_workflow", "skipped", "last_skipped_at", "last_error", "workflows")


@admin.register(Schedule)
class ScheduleAdmin(OperatorAdmin):
    """Schedules."""

    form = ScheduleForm
    autocomplete_fields = ("org",)
    list_display = ("name", "org", "template_key", "cron", "time_zone", "enabled", "next_run_at", "last_run_at", "id")
    list_filter = (by_condition("enabled", ("yes", "no"), lambda chosen: Q(enabled=chosen == "yes")), MadeWithin)
    list_select_related = ("org",)
    search_fields = ("=id", "=template_key", "=org__slug", "=org__id")
    search_help_text = "The id of a schedule or a template, or an organization's id or slug."
    ordering = ("-id",)
    actions = ("switch_off", "switch_on")

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Schedule]":
        """With their organizations, which their templates are looked up in."""
        rows: QuerySet[Schedule] = super().get_queryset(request)
        return rows.select_related("org")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may delete schedules."""
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Schedule | None = None) -> tuple[str, ...]:
        """What became of a stored one."""
        return ("id", "org", *TOLD, "created_at") if obj else ()

    def get_fields(self, request: HttpRequest, obj: Schedule | None = None) -> tuple[str, ...]:
        """A new one has nothing to tell yet."""
        return ("id", "org", *TYPED, *TOLD, "created_at") if obj else ("org", *TYPED)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Through the service, which says when the next run is."""
        if change:
            changed = {name: getattr(obj, name) for name in form.changed_data}
            schedules.change(obj, changed)
        else:
            made = schedules.create(org=obj.org, **form.fields_of_service)
            obj.__dict__.update(made.__dict__)

    def delete_model(self, request: HttpRequest, obj: Schedule) -> None:
        """Through the service too."""
        schedules.delete(obj)

    def delete_queryset(self, request: HttpRequest, queryset: "QuerySet[Schedule]") -> None:
        """Each of them."""
        for schedule in queryset:
            schedules.delete(schedule)

    @admin.display(description="last workflow")
    def last_workflow(self, schedule: Schedule) -> str:
        """What its last run is."""
        return link("workflows_app_workflow", schedule.last_workflow_id)

    @admin.display(description="workflows")
    def workflows(self, schedule: Schedule) -> str:
        """The list of them."""
        return link_to_list("workflows_app_workflow", schedule.pk, "Workflows of this schedule")

    @admin.action(description="Switch off", permissions=["change"])
    def switch_off(self, request: HttpRequest, queryset: "QuerySet[Schedule]") -> None:
        """Let them start nothing."""
        self._switch(request, queryset, enabled=False, done="Switched off")

    @admin.action(description="Switch on: what was missed is not made up for", permissions=["change"])
    def switch_on(self, request: HttpRequest, queryset: "QuerySet[Schedule]") -> None:
        """Let them start what comes."""
        self._switch(request, queryset, enabled=True, done="Switched on")

    def _switch(self, request: HttpRequest, queryset: "QuerySet[Schedule]", *, enabled: bool, done: str) -> None:
        others = queryset.exclude(enabled=enabled)
        self.apply(request, others, verb=lambda schedule: schedules.change(schedule, {"enabled": enabled}), done=done)
