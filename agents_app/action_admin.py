"""What waits for a person's decision, in the admin: to read, and to decide."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html_join

from taskmaster.core.errors import InvalidState
from taskmaster.events.admin import NOTHING, MadeWithin, ReadOnlyAdmin, as_json, link, link_to_list, one_of

from .action_forms import DecisionForm
from .actions import Verdict, decide
from .diff_display import coloured
from .models import KINDS, RISKS, Action, Task

ABOUT = ("id", "org", "kind", "tool", "risk", "status")
ASKED = (
    *("task_link", "session_link", "message_link", "workflow_link"),
    *(as_json("input"), "changes", "created_at", "expires_at"),
)
DECIDED = ("decided_at", "decided_by", "reason", as_json("updated_input"), "always_allow", "on_deny")
SHOWN_OF_A_TASK = 50


@admin.register(Action)
class ActionAdmin(ReadOnlyAdmin):
    """Actions: read what is asked, confirm or deny it. Nothing else of them can be changed."""

    readonly_fields = (*ABOUT, *ASKED, *DECIDED)
    list_display = ("what", "excerpt", "risk", "status", "org", "created_at", "expires_at", "decided_by", "id")
    list_filter = (one_of("status", Action.STATUSES), one_of("kind", KINDS), one_of("risk", RISKS), MadeWithin)
    related = ("org",)
    long_columns = ("input", "diff", "reason", "updated_input")
    excerpt_of = "input"
    searched = {"action": "pk", "session": "session_id", "task": "task_id", "org": "org_id"}
    search_help_text = "The id of an action, session or task, or an organization's id or slug."
    actions = ("confirm", "deny")  # type: ignore[assignment]
    change_form_template = "admin/agents_app/action/change_form.html"

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Whoever may change actions. That a decision is the only change, `has_change_permission` says."""
        return admin.ModelAdmin.has_change_permission(self, request)

    def get_fieldsets(self, request: HttpRequest, obj: Action | None = None) -> Any:
        """What became of it, once that is known."""
        shown = [(None, {"fields": ABOUT}), ("Asked", {"fields": ASKED})]
        decided = obj is not None and obj.status != Action.PENDING
        return [*shown, ("Decided", {"fields": DECIDED})] if decided else shown

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        """The page, with a form under it while there is something to decide."""
        action = context["original"]
        if action.status == Action.PENDING and self.has_decide_permission(request):
            context["decision"] = DecisionForm(action)
        return super().render_change_form(request, context, *args, **options)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show it, or decide it."""
        if request.method != "POST":
            return super().change_view(request, object_id, form_url, extra_context)
        if not self.has_decide_permission(request):
            raise PermissionDenied
        action = self.get_object(request, unquote(object_id))
        if action is not None:
            self._decide_as_typed(request, action)
        # Where it is gone, its page says so.
        return HttpResponseRedirect(request.get_full_path())

    def _decide_as_typed(self, request: HttpRequest, action: Action) -> None:
        form = DecisionForm(action, request.POST)
        if not form.is_valid():
            for problem in [text for texts in form.errors.values() for text in texts]:
                self.message_user(request, f"Nothing was decided. {problem}", messages.ERROR)
            return
        refused = self._decide(request, action, form.verdict(_name(request)))
        if refused:
            self.message_user(request, f"{refused} Nothing was changed.", messages.WARNING)
        else:
            self.message_user(request, f"{action.status.capitalize()}.")

    @admin.action(description="Confirm", permissions=["decide"])
    def confirm(self, request: HttpRequest, queryset: "QuerySet[Action]") -> None:
        """Let them happen."""
        self._decide_all(request, queryset, confirmed=True)

    @admin.action(description="Deny", permissions=["decide"])
    def deny(self, request: HttpRequest, queryset: "QuerySet[Action]") -> None:
        """Let none of them happen."""
        self._decide_all(request, queryset, confirmed=False)

    def _decide_all(self, request: HttpRequest, queryset: "QuerySet[Action]", *, confirmed: bool) -> None:
        verdict = Verdict(confirmed=confirmed, by=_name(request))
        chosen = Action.objects.filter(pk__in=list(queryset.values_list("pk", flat=True))).order_by("pk")
        refused = [why for why in [self._decide(request, action, verdict) for action in chosen] if why]
        self.message_user(request, f"{verdict.status.capitalize()}: {len(chosen) - len(refused)}.")
        if refused:
            late = f"Decided or expired before, and left as they are: {len(refused)}."
            self.message_user(request, late, messages.WARNING)

    def _decide(self, request: HttpRequest, action: Action, verdict: Verdict) -> str:
        """Decide it; the history says so. Returns why it was not this decision that counted, "" where it was."""
        was = action.status
        try:
            with transaction.atomic():
                decide(action, verdict)
                if was != Action.PENDING or action.decided_by != verdict.by:
                    return f"The action is {action.status}."
                self.log_change(request, action, f"{action.status.capitalize()}.")
        except InvalidState as late:
            return str(late)
        return ""

    @admin.display(description="what")
    def what(self, action: Action) -> str:
        """The tool, or the kind where there is none."""
        return action.tool or action.kind

    @admin.display(description="diff")
    def changes(self, action: Action) -> str:
        """What would become of a file."""
        return coloured(action.diff) if action.diff else NOTHING

    @admin.display(description="task")
    def task_link(self, action: Action) -> str:
        """What asks."""
        return link("agents_app_task", action.task_id)

    @admin.display(description="session")
    def session_link(self, action: Action) -> str:
        """The conversation in which it asks."""
        return link("sessions_app_session", action.session_id)

    @admin.display(description="message")
    def message_link(self, action: Action) -> str:
        """The message that it answers."""
        return link("sessions_app_message", action.message_id)

    @admin.display(description="workflow")
    def workflow_link(self, action: Action) -> str:
        """The workflow that waits for it."""
        return link("workflows_app_workflow", action.workflow_id)


def _name(request: HttpRequest) -> str:
    return f"admin: {request.user.get_username()}"


def actions_of(task: Task) -> str:
    """What a task asked, newest first, as HTML."""
    rows = Action.objects.filter(org=task.org_id, task_id=task.pk).order_by("-id")
    found = list(rows.values_list("pk", "status", "tool", "kind")[: SHOWN_OF_A_TASK + 1])
    if not found:
        return NOTHING
    links = [(link("agents_app_action", pk), tool or kind, status) for pk, status, tool, kind in found]
    more = [(link_to_list("agents_app_action", task.pk, "All of them"), "", "")] if len(found) > SHOWN_OF_A_TASK else []
    return format_html_join("", "<div>{} {} {}</div>", links[:SHOWN_OF_A_TASK] + more)
