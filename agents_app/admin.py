"""Agents and tasks in the admin. An agent's configuration holds credentials, so it goes in and never out."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.text import Truncator

from taskmaster.core.clock import iso
from taskmaster.events.admin import NOTHING, MadeWithin, ReadOnlyAdmin, as_json, link, link_to_list, one_of
from taskmaster.orgs.list_filters import Deleted
from taskmaster.orgs.operator_admin import OperatorAdmin

from . import credential_admin, fleet, process_admin, registry, retiring, runners  # noqa: F401
from .action_admin import actions_of
from .admin_forms import AgentForm
from .log_admin import log_of
from .models import Agent, Task
from .usage_admin import usage_of


@admin.register(Agent)
class AgentAdmin(OperatorAdmin):
    """Agents: rename, limit, move to another backend, pause, drain, resume."""

    form = AgentForm
    readonly_fields = (
        *("id", "org", "type", "running", "heard_of", "status", "reason", "failures", "retry_at"),
        *("tasks", "used", "created_at", "deleted_at"),
    )
    list_display = ("name", "org", "type", "backend", "state", "max_concurrent_tasks", "created_at", "id")
    list_filter = (
        "status",
        "type",
        one_of("backend", registry.CHOICES),
        MadeWithin,
        Deleted,
    )
    list_select_related = ("org",)
    search_fields = ("=id", "name", "=org__slug")
    search_help_text = "An id, a part of a name, or an organization's slug."
    ordering = ("-id",)
    actions = ("pause", "drain", "resume")

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
        common = ["id", "org", "type", "name", "backend", "max_concurrent_tasks", "default_duration"]
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

    @admin.display(description="status", ordering="status")
    def state(self, agent: Agent) -> str:
        """What was decided of it, or that it is out of service."""
        return "deleted" if agent.deleted_at else agent.status

    @admin.display(description="running")
    def running(self, agent: Agent) -> str:
        """How many of its tasks run, of how many may."""
        return f"{fleet.running_counts([agent]).get(agent.pk, 0)} of {agent.max_concurrent_tasks}"

    @admin.display(description="heard of")
    def heard_of(self, agent: Agent) -> str:
        """When its runner, or for an agent of ours a worker, was last heard of."""
        last = iso(fleet.last_heartbeat(agent)) or "never"
        return f"{last}: offline" if agent.backend == runners.BACKEND and not runners.is_present(agent) else last

    @admin.display(description="tasks")
    def tasks(self, agent: Agent) -> str:
        """The list of them."""
        return link_to_list("agents_app_task", agent.pk, "Tasks of this agent")

    @admin.display(description="used")
    def used(self, agent: Agent) -> str:
        """Until now."""
        return usage_of(agent_id=agent.pk)

    @admin.action(description="Pause: start nothing new", permissions=["change"])
    def pause(self, request: HttpRequest, queryset: "QuerySet[Agent]") -> None:
        """Let them start nothing new."""
        others = queryset.filter(deleted_at=None).exclude(status=Agent.PAUSED)
        self.apply(request, others, verb=lambda agent: registry.set_status(agent, Agent.PAUSED), done="Paused")

    @admin.action(description="Drain: finish what runs, then pause", permissions=["change"])
    def drain(self, request: HttpRequest, queryset: "QuerySet[Agent]") -> None:
        """Let them finish, and hand what still waits to others that can take it."""
        self.apply(request, queryset.filter(deleted_at=None), verb=retiring.drain, done="Draining")

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
        *("id", "org", "agent", "session", "message", "workflow", "type", "description"),
        *(as_json("requirements"), as_json("context"), "priority_word", "timeout", "status", "progress"),
        *(as_json("result"), "error", "error_code", "backend", "model", "tokens_used", "truncated"),
        *("attempts", "lost", "failures", "worker_id", "lease_expires_at", "not_before"),
        *("created_at", "assigned_at", "started_at", "finished_at", "took", "asked_for", "log"),
    )
    list_display = ("id", "org", "type", "status", "agent_link", "created_at", "excerpt", "priority_word", "backend")
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

    @admin.display(description="priority")
    def priority_word(self, task: Task) -> str:
        """low, normal, high or urgent."""
        return task.priority_name

    @admin.display(description="took")
    def took(self, task: Task) -> str:
        """How long its last attempt ran."""
        return NOTHING if task.duration is None else f"{task.duration} ms"

    @admin.display(description="agent")
    def agent_link(self, task: Task) -> str:
        """Who does it."""
        return link("agents_app_agent", task.agent_id, Truncator(task.agent.name).chars(30))

    @admin.display(description="session")
    def session(self, task: Task) -> str:
        """The conversation it belongs to."""
        return link("sessions_app_session", task.session_id)

    @admin.display(description="message")
    def message(self, task: Task) -> str:
        """The message it answers."""
        return link("sessions_app_message", task.origin_id if task.origin == "message" else None)

    @admin.display(description="workflow")
    def workflow(self, task: Task) -> str:
        """The workflow that it is a step of."""
        return link("workflows_app_workflow", task.workflow_id)

    @admin.display(description="asked")
    def asked_for(self, task: Task) -> str:
        """The actions that it waits or waited for."""
        return actions_of(task)

    @admin.display(description="log")
    def log(self, task: Task) -> str:
        """The end of what it said."""
        return log_of(task)
