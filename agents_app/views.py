"""Agents and tasks over REST."""

from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request

from taskmaster.api.envelope import Reply, reply
from taskmaster.api.paging import Order, page
from taskmaster.api.views import ApiViewSet, optional_body
from taskmaster.core.clock import iso
from taskmaster.core.prepared import Select, Slot
from taskmaster.core.subscriptions import session_limits

from . import dispatch, fleet, registry, retiring, retrying, routing, spending
from .filters import insist_known, narrowed
from .models import AGENT_TYPES, Agent, LogLine, Task
from .serializers import AgentIn, AgentPatch, RoutedTaskIn, TaskIn

TASK_FILTERS = {
    "status": "status",
    "agentId": "agent_id",
    "workflowId": "workflow_id",
    "sessionId": "session_id",
    "type": "type",
}
TASK_CHOICES = {"status": (*Task.UNFINISHED, *Task.FINISHED)}
AGENT_CHOICES = {"type": AGENT_TYPES, "status": fleet.STATUSES}

OLDEST_LINE_FIRST = Order("id", number=True)

AGENT = Select(lambda: Agent.objects.filter(pk=Slot("pk"), org=Slot("org"), deleted_at=None, internal=False))
TASK = Select(lambda: Task.objects.filter(pk=Slot("pk"), org=Slot("org")))


def agents_of(view: ApiViewSet) -> "QuerySet[Agent]":
    """The organization's agents."""
    return Agent.objects.filter(org=view.org, deleted_at=None, internal=False)


def matching(request: Request, agents: "QuerySet[Agent]", running: dict[str, int]) -> list[str] | None:
    """The ids of the agents that fit what is worked out in Python; None where nothing of that is asked for."""
    status, capability = request.GET.get("status"), request.GET.get("capability")
    if status is None and capability is None:
        return None
    return [
        agent.pk
        for agent in agents
        if (capability is None or agent.can([capability]))
        and (status is None or fleet.status_of(agent, running.get(agent.pk, 0))[0] == status)
    ]


class AgentViewSet(ApiViewSet):
    """`/agents`."""

    bodies = {"create": AgentIn, "partial_update": AgentPatch, "submit": TaskIn}

    def list(self, request: Request) -> Reply:
        """Newest first; `type`, `status` and `capability` narrow it."""
        insist_known(request, AGENT_CHOICES)
        agents = agents_of(self).filter(**narrowed(request, {"type": "type"}))
        running = fleet.running_counts(agents)
        wanted = matching(request, agents, running)
        rows = agents if wanted is None else agents.filter(pk__in=wanted)
        return page(request, rows, name="agents", show=lambda agent: fleet.shown(agent, running.get(agent.pk, 0)))

    def create(self, request: Request) -> Reply:
        """Register an agent."""
        agent = registry.register(org=self.org, **self.body())
        return reply({"agent": fleet.shown(agent, 0)}, 201, location=f"/api/v1/agents/{agent.pk}")

    def retrieve(self, request: Request, pk: str) -> Reply:
        """One agent, with what it has used."""
        agent = self.find(AGENT, pk)
        return reply({"agent": self._shown(agent) | {"usage": spending.used(agent_id=agent.pk).public()}})

    def partial_update(self, request: Request, pk: str) -> Reply:
        """Change its name, backend, configuration, capabilities or limit."""
        agent = self.find(AGENT, pk)
        registry.change(agent, self.body())
        return reply({"agent": self._shown(agent)})

    def destroy(self, request: Request, pk: str) -> Reply:
        """Delete it; what waits for it goes to another that can take it, or is cancelled."""
        retiring.delete(self.find(AGENT, pk))
        return reply({"message": "Agent deleted"})

    def status(self, request: Request, pk: str) -> Reply:
        """How it is doing, and what it is doing."""
        return reply({"status": fleet.status_document(self.find(AGENT, pk))})

    def pause(self, request: Request, pk: str) -> Reply:
        """Start nothing new; what runs goes on."""
        return self._set(request, pk, Agent.PAUSED)

    def resume(self, request: Request, pk: str) -> Reply:
        """Take work again."""
        return self._set(request, pk, Agent.ACTIVE)

    def drain(self, request: Request, pk: str) -> Reply:
        """Start nothing new, and be paused once what runs is through."""
        optional_body(request._request)
        agent = self.find(AGENT, pk)
        retiring.drain(agent)
        return reply({"agent": self._shown(agent)})

    def _set(self, request: Request, pk: str, status: str) -> Reply:
        optional_body(request._request)
        agent = self.find(AGENT, pk)
        registry.set_status(agent, status)
        return reply({"agent": self._shown(agent)})

    def _shown(self, agent: Agent) -> dict[str, Any]:
        return fleet.shown(agent, fleet.running_counts([agent]).get(agent.pk, 0))

    def submit(self, request: Request, pk: str) -> Reply:
        """Queue a task at this agent, whatever state it is in."""
        agent = self.find(AGENT, pk)
        return accepted(dispatch.submit(dispatch.task_for(agent, **with_session(self, self.body()))), agent)


def with_session(view: ApiViewSet, body: dict[str, Any]) -> dict[str, Any]:
    """The body with the limits of the session that it names, which must be the organization's and open."""
    return body | (session_limits(view.org.pk, body["session_id"]) if body.get("session_id") else {})


def accepted(task: Task, agent: Agent) -> Reply:
    """202 for a new task."""
    members = {
        "taskId": task.pk,
        "estimatedDuration": dispatch.estimated_duration(agent, task.type),
        "assignedAt": iso(task.assigned_at),
        "status": task.status,
        "agentId": agent.pk,
    }
    return reply(members, 202, location=f"/api/v1/tasks/{task.pk}")


class TaskViewSet(ApiViewSet):
    """`/tasks`."""

    bodies = {"create": RoutedTaskIn}

    def list(self, request: Request) -> Reply:
        """Newest first; `status`, `agentId`, `workflowId`, `sessionId` and `type` narrow it."""
        insist_known(request, TASK_CHOICES)
        tasks = Task.objects.filter(org=self.org, **narrowed(request, TASK_FILTERS))
        return page(request, tasks, name="tasks", show=Task.public)

    def create(self, request: Request) -> Reply:
        """Queue a task at the least loaded agent that fits."""
        body = with_session(self, self.body())
        wanted = {"agent_type": body.pop("agent_type"), "capabilities": body.pop("capabilities", [])}
        agent = routing.choose(org_id=self.org.pk, **wanted)
        unpinned = {"pinned": False, "capabilities": wanted["capabilities"]}
        return accepted(dispatch.submit(dispatch.task_for(agent, **body, **unpinned)), agent)

    def retrieve(self, request: Request, pk: str) -> Reply:
        """One task."""
        return reply({"task": self._task(pk).public()})

    def cancel(self, request: Request, pk: str) -> Reply:
        """Call it off."""
        optional_body(request._request)
        return reply({"task": dispatch.cancel(self._task(pk)).public()})

    def retry(self, request: Request, pk: str) -> Reply:
        """Try a failed or cancelled one again."""
        optional_body(request._request)
        return reply({"task": retrying.retry(self._task(pk)).public()})

    def log(self, request: Request, pk: str) -> Reply:
        """What it said while it ran, oldest first."""
        rows = LogLine.objects.filter(task=self._task(pk).pk)
        return page(request, rows, name="log", order=OLDEST_LINE_FIRST, show=LogLine.public)

    def _task(self, pk: str) -> Task:
        return self.find(TASK, pk)
