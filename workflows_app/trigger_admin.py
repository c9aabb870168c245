"""Triggers in the admin: made and deleted. A secret is in the answer to the form that made it, and nowhere else."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from taskmaster.events.admin import MadeWithin, as_json, link, link_to_list
from taskmaster.orgs.operator_admin import OperatorAdmin

from . import triggers
from .admin_forms import TriggerForm
from .models import Trigger

STORED = (
    *("id", "org", "name", "template_key", "url", as_json("workflow_data"), as_json("execution_context")),
    *("last_received_at", "last_workflow", "workflows", "created_at"),
)


@admin.register(Trigger)
class TriggerAdmin(OperatorAdmin):
    """Triggers."""

    form = TriggerForm
    autocomplete_fields = ("org",)
    list_display = ("name", "org", "template_key", "last_received_at", "created_at", "id")
    list_filter = (MadeWithin,)
    list_select_related = ("org",)
    search_fields = ("=id", "=template_key", "=org__slug", "=org__id")
    search_help_text = "The id of a trigger or a template, or an organization's id or slug."
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Trigger]":
        """Without the secrets, which are not even read."""
        return super().get_queryset(request).defer("secret")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: another secret or template is another trigger."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may delete triggers."""
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Trigger | None = None) -> tuple[Any, ...]:
        """All of a stored one."""
        return STORED if obj else ()

    def get_fields(self, request: HttpRequest, obj: Trigger | None = None) -> tuple[Any, ...]:
        """A new one has nothing to tell yet."""
        typed = ("org", "name", "template_key", "workflow_data", "execution_context", "new_secret")
        return STORED if obj else typed

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Whatever button were pressed, the answer is the secret: there is one."""
        no_others = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, {**no_others, **(extra_context or {})})

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Through the service; the secret lives as long as this request."""
        trigger, secret = triggers.create(org=obj.org, **form.fields_of_service)
        obj.__dict__.update(trigger.__dict__)
        request.issued_secret = secret  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: Trigger, post_url_continue: str | None = None) -> HttpResponse:
        """Show the secret in the answer itself: a message for the next page would wait in a cookie."""
        more = {"opts": self.opts, "title": "Trigger made", "trigger": obj, "secret": request.issued_secret}  # type: ignore[attr-defined]
        return TemplateResponse(
            request, "admin/workflows_app/trigger/made.html", {**self.admin_site.each_context(request), **more}
        )

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """The triggers, and not each delivery that they remember."""
        found = [str(trigger) for trigger in objs]
        return found, {str(self.opts.verbose_name_plural): len(found)}, set(), []

    def delete_model(self, request: HttpRequest, obj: Trigger) -> None:
        """Through the service."""
        triggers.delete(obj)

    @admin.display(description="last workflow")
    def last_workflow(self, trigger: Trigger) -> str:
        """What its last delivery started."""
        return link("workflows_app_workflow", trigger.last_workflow_id)

    @admin.display(description="workflows")
    def workflows(self, trigger: Trigger) -> str:
        """The list of them."""
        return link_to_list("workflows_app_workflow", trigger.pk, "Workflows of this trigger")
