"""Workflows driven by hand: no worker runs beside the in-process tests."""

from datetime import timedelta
from itertools import count
from typing import Any

from django.db.models.functions import Now

from agents_app import leases
from agents_app.models import Agent, Task
from tests.conftest import Person
from workflows_app.models import Workflow, WorkflowStep


def agent(id: str, *needs: str, **more: Any) -> dict[str, Any]:
    """An agent's step."""
    about = {"id": id, "name": id.title(), "type": "agent", "agentType": "custom", "prompt": f"do {id}"}
    return about | {"dependsOn": list(needs)} | more


def step(id: str, type: str, *needs: str, **more: Any) -> dict[str, Any]:
    """A step of another type."""
    return {"id": id, "name": id.title(), "type": type, "dependsOn": list(needs)} | more


_NUMBERS = count(1)


class Runs:
    """One organization's workflows, and the only agent that works them."""

    def __init__(self, person: Person) -> None:
        self.person = person
        body = {"name": "worker", "type": "custom", "backend": "echo", "maxConcurrentTasks": 100}
        self.agent = person.post("/agents", body).json()["agent"]["id"]
        Agent.objects.filter(org=person.org, internal=False).exclude(pk=self.agent).delete()

    def template(self, *steps: dict[str, Any]) -> str:
        """A new template with these steps; its id."""
        template = {"id": f"t{next(_NUMBERS)}", "name": "T", "steps": list(steps)}
        answer = self.person.post("/workflow-templates", template)
        assert answer.status_code == 201, answer.json()
        return str(template["id"])

    def made(self, *steps: dict[str, Any], **data: Any) -> str:
        """A new workflow of a new template with these steps."""
        body = {"templateId": self.template(*steps), "workflowData": {"name": "W", **data}}
        answer = self.person.post("/workflows", body)
        assert answer.status_code == 201, answer.json()
        return str(answer.json()["workflowId"])

    def started(self, *steps: dict[str, Any], **data: Any) -> str:
        """The same, started."""
        workflow = self.made(*steps, **data)
        answer = self.act(workflow, "start")
        assert answer.status_code == 200, answer.json()
        return workflow

    def act(self, workflow: str, verb: str, body: Any = None) -> Any:
        """The response to `POST /workflows/{id}/{verb}`."""
        return self.person.post(f"/workflows/{workflow}/{verb}", body)

    def shown(self, workflow: str) -> dict[str, Any]:
        """The workflow over REST."""
        return dict(self.person.get(f"/workflows/{workflow}").json()["workflow"])

    def states(self, workflow: str) -> dict[str, str]:
        """The steps' states by id."""
        return dict(WorkflowStep.objects.filter(workflow=workflow).values_list("key", "status"))

    def running(self) -> dict[str, Task]:
        """The queued and running tasks by their step's id, claimed by now."""
        claim = leases.claim(self.agent, "worker_x", 16, ready=lambda agent: True)
        assert not claim.more
        held = leases.held().filter(agent=self.agent).select_related("agent")
        return {task.type: task for task in held}

    @staticmethod
    def late(workflow: str) -> None:
        """As if it had run for longer than it may."""
        Workflow.objects.filter(pk=workflow).update(deadline_at=Now() - timedelta(seconds=1))

    def complete(self, *keys: str, **result: Any) -> None:
        """These steps' tasks end well."""
        for key in keys:
            task = self.running()[key]
            assert leases.complete(task, result={"content": f"{key} done"} | result)

    def fail(self, key: str, error: str = "it broke", code: str = "refused") -> None:
        """This step's task fails."""
        assert leases.fail(self.running()[key], error=error, code=code)
