"""Organizations' own templates in the admin, each version a row; changed by YAML or JSON."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from taskmaster.core.errors import ApiError
from taskmaster.orgs.list_filters import Deleted
from taskmaster.orgs.operator_admin import OperatorAdmin

from . import template_store
from .admin_forms import TemplateForm
from .documents import as_yaml
from .models import WorkflowTemplate

READ = ("key", "version", "name", "created_at", "deleted_at")


@admin.register(WorkflowTemplate)
class WorkflowTemplateAdmin(OperatorAdmin):
    """Templates: publish one, look at each version, make a new one of it, take it away."""

    form = TemplateForm
    autocomplete_fields = ("org",)
    list_display = ("key", "org", "version", "name", "created_at", "deleted_at")
    list_filter = (Deleted,)
    list_select_related = ("org",)
    search_fields = ("=key", "=org__slug", "=org__id")
    search_help_text = "A template's id, or an organization's id or slug."
    ordering = ("-id",)
    actions = ("take_away",)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[WorkflowTemplate]":
        """The list does without the steps."""
        rows: QuerySet[WorkflowTemplate] = super().get_queryset(request)
        is_list = request.resolver_match is not None and (request.resolver_match.url_name or "").endswith("_changelist")
        return rows.defer("steps", "description") if is_list else rows

    def has_change_permission(self, request: HttpRequest, obj: WorkflowTemplate | None = None) -> bool:
        """What was taken away stays as it was."""
        return super().has_change_permission(request, obj) and (obj is None or obj.deleted_at is None)

    def has_take_away_permission(self, request: HttpRequest) -> bool:
        """Whoever may delete templates."""
        return admin.ModelAdmin.has_delete_permission(self, request)

    def get_readonly_fields(self, request: HttpRequest, obj: WorkflowTemplate | None = None) -> tuple[str, ...]:
        """What a version was made as."""
        if obj is None:
            return ()
        return ("org", *READ) if self.has_change_permission(request, obj) else ("org", *READ, "shown")

    def get_fields(self, request: HttpRequest, obj: WorkflowTemplate | None = None) -> tuple[str, ...]:
        """The document, and around it what does not change."""
        if obj is None:
            return ("org", "document")
        typed = ("document",) if self.has_change_permission(request, obj) else ()
        return (*self.get_readonly_fields(request, obj), *typed)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """A new one begins as an example of one."""
        return {**super().get_changeform_initial_data(request), "document": EXAMPLE}

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """A new one, or a new version; the row that was looked at stays."""
        store = template_store.revise if change else template_store.publish
        made = store(obj.org, **form.template)
        row = WorkflowTemplate.objects.get(org=obj.org, key=made.key, version=made.version)
        obj.__dict__.update(row.__dict__)

    def changeform_view(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        """Whoever comes second is told."""
        try:
            return super().changeform_view(request, *args, **options)
        except ApiError as error:
            self.message_user(request, f"Nothing was changed. {error}", messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    @admin.display(description="document")
    def shown(self, template: WorkflowTemplate) -> str:
        """What it says."""
        return as_yaml(template_store.of_row(template))

    @admin.action(description="Take away: all versions; workflows made from them go on", permissions=["take_away"])
    def take_away(self, request: HttpRequest, queryset: "QuerySet[WorkflowTemplate]") -> None:
        """Let nobody use them any more."""
        newest = {(row.org_id, row.key): row.pk for row in queryset.filter(deleted_at=None).order_by("id")}
        rows = WorkflowTemplate.objects.filter(pk__in=newest.values()).select_related("org")
        self.apply(request, rows, verb=lambda row: template_store.delete(row.org, row.key), done="Taken away")


EXAMPLE = """\
id: my-template
name: My template
steps:
  - id: plan
    name: Plan
    type: agent
    prompt: "Plan how to do this: {{ context.goal }}"
  - id: approve
    name: Approve the plan
    type: approval
    dependsOn: [plan]
    message: "{{ steps.plan.result.content }}"
"""
