"""Workflows in the admin: to read, step by step, and to pause, resume, cancel or retry."""

import base64
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html

from taskmaster.core.errors import ApiError
from taskmaster.events.admin import NOTHING, MadeWithin, ReadOnlyAdmin, as_json, link, link_to_list, one_of

from . import lifecycle, picture
from .models import Workflow, WorkflowStep
from .step_display import steps_of

ABOUT = ("id", "org", "name", "made_from", "started_by", "status", "how_far", "error")
LIMITS = ("priority_word", "timeout", "notifications", as_json("context"), as_json("step_data"))
TIMES = ("created_at", "started_at", "paused_at", "resumed_at", "finished_at", "deadline_at")
STEPS = ("drawn", "steps", "tasks")
# What can be done to it in which state, each with what it is then.
VERBS = {"pause": "Paused", "resume": "Resumed", "cancel": "Cancelled", "retry": "Retried"}
SOURCES = {
    "pause": (Workflow.RUNNING,),
    "resume": (Workflow.PAUSED,),
    "cancel": (Workflow.CREATED, Workflow.RUNNING, Workflow.PAUSED),
    "retry": (Workflow.FAILED,),
}
# A picture of more is for those who ask for it: GET /workflows/{id}/graph.
DRAWN = 200


@admin.register(Workflow)
class WorkflowAdmin(ReadOnlyAdmin):
    """Workflows."""

    readonly_fields = (*ABOUT, *STEPS, *LIMITS, *TIMES)
    fieldsets = (
        (None, {"fields": ABOUT}),
        ("Steps", {"fields": STEPS}),
        ("Given", {"fields": LIMITS}),
        ("Times", {"fields": TIMES}),
    )
    list_display = ("name", "org", "status", "how_far", "made_from", "created_at", "finished_at", "id")
    list_filter = (one_of("status", Workflow.STATUSES), MadeWithin)
    related = ("org",)
    long_columns = ("context", "step_data", "error")
    searched = {"workflow": "pk", "schedule": "schedule_id", "trigger": "trigger_id", "org": "org_id"}
    search_help_text = "The id of a workflow, schedule or trigger, or an organization's id or slug."
    actions = ("pause", "resume", "cancel", "retry")  # type: ignore[assignment]
    change_form_template = "admin/workflows_app/workflow/change_form.html"

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Whoever may change workflows. That these are the only changes, `has_change_permission` says."""
        return admin.ModelAdmin.has_change_permission(self, request)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        """The page, with what can be done under it."""
        workflow = context["original"]
        if self.has_act_permission(request):
            context["verbs"] = [verb for verb in VERBS if workflow.status in SOURCES[verb]]
            context["steps_to_retry_from"] = _steps_to_retry_from(workflow)
        return super().render_change_form(request, context, *args, **options)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show it, or do what was pressed."""
        if request.method != "POST":
            return super().change_view(request, object_id, form_url, extra_context)
        if not self.has_act_permission(request):
            raise PermissionDenied
        workflow = self.get_object(request, unquote(object_id))
        pressed = next((verb for verb in VERBS if verb in request.POST), None)
        if workflow is not None and pressed is not None:
            refused = self._act(request, workflow, pressed, request.POST.get("from_step", ""))
            self._tell(request, refused or f"{VERBS[pressed]}.", is_wrong=bool(refused))
        return HttpResponseRedirect(request.get_full_path())

    @admin.action(description="Pause: start no further step", permissions=["act"])
    def pause(self, request: HttpRequest, queryset: "QuerySet[Workflow]") -> None:
        """Let what runs finish."""
        self._act_on_all(request, queryset, "pause")

    @admin.action(description="Resume", permissions=["act"])
    def resume(self, request: HttpRequest, queryset: "QuerySet[Workflow]") -> None:
        """Let them go on."""
        self._act_on_all(request, queryset, "resume")

    @admin.action(description="Cancel", permissions=["act"])
    def cancel(self, request: HttpRequest, queryset: "QuerySet[Workflow]") -> None:
        """Call them off."""
        self._act_on_all(request, queryset, "cancel")

    @admin.action(description="Retry from the failed steps", permissions=["act"])
    def retry(self, request: HttpRequest, queryset: "QuerySet[Workflow]") -> None:
        """Run failed ones again."""
        self._act_on_all(request, queryset, "retry")

    def _act_on_all(self, request: HttpRequest, queryset: "QuerySet[Workflow]", verb: str) -> None:
        chosen = list(Workflow.objects.filter(pk__in=list(queryset.values_list("pk", flat=True))).order_by("pk"))
        refused = [why for why in [self._act(request, workflow, verb) for workflow in chosen] if why]
        self._tell(request, f"{VERBS[verb]}: {len(chosen) - len(refused)}.")
        if refused:
            self._tell(request, f"Left as they are: {len(refused)}. {refused[0]}", is_wrong=True)

    def _act(self, request: HttpRequest, workflow: Workflow, verb: str, from_step: str = "") -> str:
        """Do it; the history says so. Returns why it could not be done, "" where it was."""
        try:
            if verb == "retry":
                lifecycle.retry(workflow, from_step or None)
            else:
                getattr(lifecycle, verb)(workflow)
        except ApiError as error:
            return str(error)
        self.log_change(request, workflow, f"{VERBS[verb]}.")
        return ""

    def _tell(self, request: HttpRequest, text: str, *, is_wrong: bool = False) -> None:
        self.message_user(request, text, messages.WARNING if is_wrong else messages.SUCCESS)

    @admin.display(description="progress")
    def how_far(self, workflow: Workflow) -> str:
        """In hundredths, and in steps."""
        return f"{workflow.progress:.0%} ({workflow.total - workflow.left} of {workflow.total})"

    @admin.display(description="template")
    def made_from(self, workflow: Workflow) -> str:
        """Which, and which version of it."""
        return f"{workflow.template_key} v{workflow.template_version}"

    @admin.display(description="started by")
    def started_by(self, workflow: Workflow) -> str:
        """A schedule or a trigger, if it was one."""
        if workflow.schedule_id:
            return link("workflows_app_schedule", workflow.schedule_id)
        return link("workflows_app_trigger", workflow.trigger_id)

    @admin.display(description="priority")
    def priority_word(self, workflow: Workflow) -> str:
        """The default of its tasks."""
        return workflow.priority_name or NOTHING

    @admin.display(description="picture")
    def drawn(self, workflow: Workflow) -> str:
        """As an image, in which nothing of it could be run."""
        if workflow.total > DRAWN:
            return f"It has more than {DRAWN} steps; GET /workflows/{workflow.pk}/graph draws them."
        data = base64.b64encode(picture.of(workflow).encode()).decode()
        return format_html(
            '<img src="data:image/svg+xml;base64,{}" alt="The steps and what they need" '
            'style="max-width:100%;max-height:40rem">',
            data,
        )

    @admin.display(description="steps")
    def steps(self, workflow: Workflow) -> str:
        """Each with its attempts."""
        return steps_of(workflow)

    @admin.display(description="tasks")
    def tasks(self, workflow: Workflow) -> str:
        """The list of them."""
        return link_to_list("agents_app_task", workflow.pk, "Tasks of this workflow")


def _steps_to_retry_from(workflow: Workflow) -> list[str]:
    if workflow.status != Workflow.FAILED:
        return []
    rows = WorkflowStep.objects.filter(workflow=workflow).order_by("position")
    return list(rows.values_list("key", flat=True)[:DRAWN])
