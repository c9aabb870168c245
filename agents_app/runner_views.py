"""What runners call: the scope `agents` is theirs."""

import time
from functools import partial

from rest_framework.request import Request

from taskmaster.api.envelope import Reply, reply
from taskmaster.api.views import ApiViewSet, optional_body
from taskmaster.api.waits import Wait
from taskmaster.core.errors import Conflict

from . import fleet, runners
from .models import Agent, Task
from .serializers import CompleteIn, FailIn, LeaseIn, ProgressIn
from .views import AGENT, TASK


class RunnerViewSet(ApiViewSet):
    """`/agents/{id}/heartbeat` and `/lease`."""

    scopes = {"heartbeat": "agents", "lease": "agents"}
    bodies = {"lease": LeaseIn}

    def heartbeat(self, request: Request, pk: str) -> Reply:
        """A runner is there."""
        optional_body(request._request)
        agent = self._agent(pk)
        runners.heartbeat(agent.pk)
        agent.refresh_from_db(fields=["last_heartbeat"])
        return reply({"agent": fleet.shown(agent, fleet.running_counts([agent]).get(agent.pk, 0))})

    def lease(self, request: Request, pk: str) -> Reply:
        """The agent's next task; with `wait`, as soon as there is one."""
        began = time.monotonic()
        agent = self._agent(pk)
        wait = self.optional_body().get("wait", 0)
        runners.noticed(agent.pk)
        leased = runners.lease(agent.pk)
        if leased:
            return reply(leased.public())
        response = reply(runners.NOTHING)
        if wait:
            response.wait = lease_wait(agent.pk, wait, began)
        return response

    def _agent(self, pk: str) -> Agent:
        agent = self.find(AGENT, pk)
        if agent.backend != runners.BACKEND:
            raise Conflict(f"This agent's backend is {agent.backend}; only a runner's tasks can be leased.")
        return agent


def lease_wait(agent_id: str, milliseconds: int, began: float) -> Wait:
    """A wait for a task of this agent, which several runners may wait for at once and one of them gets."""
    return Wait(
        key=f"lease:{agent_id}",
        seconds=milliseconds / 1000,
        finish=partial(_leased, agent_id),
        ended=_with_work,
        alone=True,
        since=began,
    )


def _leased(agent_id: str) -> Reply | None:
    leased = runners.lease(agent_id)
    return reply(leased.public()) if leased else None


def _with_work(keys: list[str]) -> set[str]:
    agents = [key.removeprefix("lease:") for key in keys]
    runners.keep_present(agents)
    return {f"lease:{agent_id}" for agent_id in runners.waiting(agents)}


class ReportViewSet(ApiViewSet):
    """`/tasks/{id}/progress`, `/complete` and `/fail`."""

    scopes = {"progress": "agents", "complete": "agents", "fail": "agents"}
    bodies = {"progress": ProgressIn, "complete": CompleteIn, "fail": FailIn}

    def progress(self, request: Request, pk: str) -> Reply:
        """How far it is; renews the lease, and tells of a cancel."""
        task, body = self.find(TASK, pk), self.body()
        if task.status == Task.CANCELLED:
            return reply({"cancelled": True, "leaseExpiresAt": None})
        expires = runners.progress(task, body["token"], body["progress"], body.get("message", ""))
        runners.noticed(task.agent_id)
        return reply({"cancelled": False, "leaseExpiresAt": expires})

    def complete(self, request: Request, pk: str) -> Reply:
        """It is done."""
        task, body = self.find(TASK, pk), self.body()
        runners.complete(task, body["token"], body["result"])
        return reply({"task": task.public()})

    def fail(self, request: Request, pk: str) -> Reply:
        """It failed."""
        task, body = self.find(TASK, pk), self.body()
        runners.fail(task, body["token"], body["error"], retryable=body.get("retryable", False))
        return reply({"task": task.public()})
