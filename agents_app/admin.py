"""Agents, tasks and workers in the admin. An agent's configuration holds credentials, so it goes in and never out."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.http import HttpRequest

from taskmaster.core.errors import ValidationFailed
from taskmaster.core.secret_box import SecretUnreadable
from taskmaster.core.strict_json import JsonRefused, parse
from taskmaster.events.admin import MadeWithin, ReadOnlyAdmin, as_json, link, link_to_list, one_of
from taskmaster.orgs.admin import OperatorAdmin

from . import registry
from .models import Agent, Task, Worker


class Lines(forms.Field):
    """A list of strings, one a line."""

    widget = forms.Textarea

    def prepare_value(self, value: Any) -> Any:
        """The list as lines."""
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: str | None) -> list[str]:
        """The lines that are not empty. Raises ValidationError where the API would refuse them."""
        lines = [line.strip() for line in (value or "").splitlines() if line.strip()]
        if len(lines) > 100 or any(len(line) > 200 or "\0" in line for line in lines):
            raise ValidationError("At most 100 lines of at most 200 characters.")
        return lines


class UnseenTextarea(forms.Textarea):
    """A textarea that never shows what was typed, as a password's input does."""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        """Empty, also after a mistake in the form."""
        return super().get_context(name, None, attrs)


class AgentForm(forms.ModelForm):  # type: ignore[type-arg]
    """What an operator may change of an agent."""

    backend = forms.ChoiceField(choices=[(name, name) for name in registry.CHOICES])
    capabilities = Lines(required=False, help_text="One a line.")
    max_concurrent_tasks = forms.IntegerField(min_value=1, max_value=1000)
    new_configuration = forms.CharField(
        required=False,
        widget=UnseenTextarea,
        help_text="A JSON object that takes the place of the stored one, which is never shown. Empty: unchanged.",
    )

    def clean_new_configuration(self) -> dict[str, Any] | None:
        """The object, or None for no change."""
        text = self.cleaned_data["new_configuration"]
        if not text:
            return None
        try:
            value = parse(text.encode())
        except JsonRefused as refused:
            raise ValidationError(f"This JSON cannot be taken: {refused}.") from None
        if not isinstance(value, dict):
            raise ValidationError("It must be an object.")
        return value

    def clean(self) -> None:
        """The backend must be able to run with the configuration."""
        super().clean()
        if {"backend", "new_configuration"} <= self.cleaned_data.keys():
            try:
                registry.check_config(self.cleaned_data["backend"], self._config())
            except ValidationFailed as error:
                self.add_error("new_configuration", str(error))
            except SecretUnreadable:
                self.add_error("new_configuration", "The stored configuration cannot be read any more; give a new one.")

    def _config(self) -> dict[str, Any]:
        new = self.cleaned_data["new_configuration"]
        return dict(self.instance.config if new is None else new)

    def changes(self) -> dict[str, Any]:
        """The changed columns and their values."""
        changed = {name: self.cleaned_data[name] for name in self.changed_data}
        config = changed.pop("new_configuration", None)
        return changed if config is None else {**changed, "config": config}


@admin.register(Agent)
class AgentAdmin(OperatorAdmin):
    """Agents: rename, limit, move to another backend, pause, resume."""

    form = AgentForm
    readonly_fields = ("id", "org", "type", "status", "reason", "tasks", "created_at", "deleted_at")
    list_display = ("name", "id", "org", "type", "backend", "status", "max_concurrent_tasks", "created_at")
    list_filter = (
        "status",
        "type",
        one_of("backend", registry.CHOICES),
        MadeWithin,
        ("deleted_at", admin.EmptyFieldListFilter),
    )
    list_select_related = ("org",)
    search_fields = ("=id", "name", "=org__slug")
    search_help_text = "An id, a part of a name, or an organization's slug."
    ordering = ("-id",)
    actions = ("pause", "resume")

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Agent]":
        """Without the configurations, which are not even unsealed."""
        return super().get_queryset(request).defer("config")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Agents are registered through the API."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Agent | None = None) -> bool:
        """Those out of service stay as they were."""
        return super().has_change_permission(request, obj) and (obj is None or obj.deleted_at is None)

    def get_fields(self, request: HttpRequest, obj: Agent | None = None) -> list[Any]:
        """The form, and around it what does not change."""
        common = ["id", "org", "type", "name", "backend", "max_concurrent_tasks"]
        if self.has_change_permission(request, obj):
            common += ["capabilities", "new_configuration"]
        else:
            common += [CAPABILITIES]
        return [*common, *self.readonly_fields[3:]]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Through the registry, which also wakes the workers."""
        changes = form.changes()
        if "config" in changes:
            obj.config = changes["config"]
        registry.change(obj, changes)

    @admin.display(description="tasks")
    def tasks(self, agent: Agent) -> str:
        """The list of them."""
        return link_to_list("agents_app_task", agent.pk, "Tasks of this agent")

    @admin.action(description="Pause: start nothing new", permissions=["change"])
    def pause(self, request: HttpRequest, queryset: "QuerySet[Agent]") -> None:
        """Let them start nothing new."""
        others = queryset.filter(deleted_at=None).exclude(status=Agent.PAUSED)
        self.apply(request, others, verb=lambda agent: registry.set_status(agent, Agent.PAUSED), done="Paused")

    @admin.action(description="Resume", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: "QuerySet[Agent]") -> None:
        """Let them work again."""
        others = queryset.filter(deleted_at=None).exclude(status=Agent.ACTIVE)
        self.apply(request, others, verb=lambda agent: registry.set_status(agent, Agent.ACTIVE), done="Resumed")


CAPABILITIES = as_json("capabilities")


@admin.register(Task)
class TaskAdmin(ReadOnlyAdmin):
    """Tasks. `lease` is not shown: whoever knows it can end the task."""

    fields = readonly_fields = (
        *("id", "org", "agent", "session", "message", "workflow_id", "type", "description"),
        *(as_json("requirements"), as_json("context"), "priority_name", "timeout", "status", "progress"),
        *(as_json("result"), "error", "error_code", "backend", "model", "tokens_used", "truncated"),
        *("attempts", "lost", "failures", "worker_id", "lease_expires_at", "not_before"),
        *("created_at", "assigned_at", "started_at", "finished_at", "duration"),
    )
    list_display = ("id", "org", "type", "status", "priority_name", "agent_link", "backend", "excerpt", "created_at")
    list_filter = (
        one_of("status", (*Task.UNFINISHED, *Task.FINISHED)),
        one_of("backend", registry.BACKENDS),
        one_of("origin", [origin for origin, _ in Task._meta.get_field("origin").choices or ()]),
        MadeWithin,
    )
    related = ("org", "agent")
    secret_columns = ("lease", "agent__config")
    long_columns = ("description", "requirements", "context", "result", "error")
    excerpt_of = "description"
    searched = {
        "task": "pk",
        "session": "session_id",
        "agent": "agent_id",
        "workflow": "workflow_id",
        "org": "org_id",
    }
    search_help_text = "The id of a task, session, agent or workflow, or an organization's id or slug."

    @admin.display(description="agent")
    def agent_link(self, task: Task) -> str | None:
        """Who does it."""
        return link("agents_app_agent", task.agent_id, task.agent.name)

    @admin.display(description="session")
    def session(self, task: Task) -> str | None:
        """The conversation it belongs to."""
        return link("sessions_app_session", task.session_id)

    @admin.display(description="message")
    def message(self, task: Task) -> str | None:
        """The message it answers."""
        return link("sessions_app_message", task.origin_id if task.origin == "message" else None)


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
