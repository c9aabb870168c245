"""One organization with one object of each kind, made over REST, and what the whole database holds."""

from functools import cache, cached_property
from itertools import count
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connection

from agents_app import actions
from agents_app.backends.base import Question
from taskmaster.events import relay
from tests.conftest import Person

from .working import claim

OURS = ("orgs", "events", "api", "agents_app", "sessions_app", "workflows_app")
# Written at most once a minute by any request at all.
IGNORED = {"last_used_at"}
# Templates of different organizations have different ids, so that one can be asked for another's.
_KEYS = (f"ship-{number}" for number in count())


class World:
    """What a route's placeholders stand for: `world["session"]` is the id for `{session}`, made when it is used."""

    def __init__(self, person: Person) -> None:
        self.person = person

    def __getitem__(self, name: str) -> str:
        return str(getattr(self, name))

    def _made(self, path: str, body: Any = None) -> Any:
        response = self.person.post(path, body)
        assert response.status_code in (200, 201, 202), response.json()
        return response.json()

    @cached_property
    def agent(self) -> str:
        body = {"name": "echo", "type": "custom", "backend": "echo", "capabilities": ["code_generation"]}
        return self._made("/agents", body)["agent"]["id"]

    @cached_property
    def session(self) -> str:
        return self._made("/sessions", {"agentType": "custom", "agentId": self.agent})["session"]["id"]

    @cached_property
    def message(self) -> str:
        return self.say("hello")

    def say(self, content: str) -> str:
        """Another message in the session; its id."""
        return self._made(f"/sessions/{self.session}/messages", {"content": content})["messageId"]

    @cached_property
    def task(self) -> str:
        return self.submit()

    def submit(self, **fields: Any) -> str:
        """Another task for the agent; its id."""
        body = {"type": "review", "description": "look at it"} | fields
        return self._made(f"/agents/{self.agent}/tasks", body)["taskId"]

    @cached_property
    def cancelled_task(self) -> str:
        return self._made(f"/tasks/{self.submit()}/cancel")["task"]["id"]

    @cached_property
    def runner(self) -> str:
        body = {"name": "runner", "type": "custom", "backend": "runner", "capabilities": ["code_generation"]}
        return self._made("/agents", body)["agent"]["id"]

    @cached_property
    def lease(self) -> dict[str, Any]:
        """What a runner got for its lease call."""
        self._made(f"/agents/{self.runner}/tasks", {"type": "review", "description": "look at it"})
        return self._made(f"/agents/{self.runner}/lease")

    @cached_property
    def leased_task(self) -> str:
        return self.lease["task"]["id"]

    @cached_property
    def action(self) -> str:
        """A permission that a running task asks for."""
        return self.ask()

    def ask(self, **fields: Any) -> str:
        """A new task of the agent, of the session, starts and asks for a permission; the action's id."""
        self.submit(sessionId=self.session)
        (task,) = claim(self.agent)
        about: dict[str, Any] = {"key": "call_1", "tool": "Bash", "input": {"command": "ls"}, "risk": "high"}
        return actions.ask(task, Question(**(about | fields)))

    @cached_property
    def event(self) -> str:
        """One that has its number."""
        assert self.agent
        relay.drain()
        return self.person.get("/events?types=agent.registered").json()["events"][-1]["id"]

    @cached_property
    def token(self) -> str:
        return self._made("/tokens", {"name": "spare", "scopes": ["read"]})["token"]["id"]

    @cached_property
    def file(self) -> str:
        return self.put("notes/todo.txt")

    @cached_property
    def new_file(self) -> str:
        assert self.session
        return "new/file.txt"

    def put(self, path: str, content: bytes = b"hello") -> str:
        """Another file in the session's workspace; its path."""
        response = self.person.call("PUT", f"/sessions/{self.session}/files/{path}", content)
        assert response.status_code in (200, 201), response.json()
        return path

    @cached_property
    def template(self) -> str:
        """One that waits for a person, and then for an agent."""
        return self.publish()

    def publish(self) -> str:
        """Another template; its id."""
        asking = {"id": "ask", "name": "Ask", "type": "approval"}
        working = {"id": "work", "name": "Work", "type": "agent", "prompt": "do it", "dependsOn": ["ask"]}
        body = {"id": next(_KEYS), "name": "Ship it", "steps": [asking, working]}
        return self._made("/workflow-templates", body)["template"]["id"]

    @cached_property
    def workflow(self) -> str:
        return self.create()

    def create(self) -> str:
        """Another workflow of the template, not started; its id."""
        return self._made("/workflows", {"templateId": self.template})["workflowId"]

    @cached_property
    def running_workflow(self) -> str:
        """It waits for a person."""
        return self._made(f"/workflows/{self.create()}/start")["workflowId"]

    @cached_property
    def paused_workflow(self) -> str:
        return self._made(f"/workflows/{self.running_workflow}/pause")["workflowId"]

    @cached_property
    def failed_workflow(self) -> str:
        """Somebody said no."""
        self._made(f"/workflows/{self.running_workflow}/signal", {"stepId": "ask", "approved": False})
        return self.running_workflow

    @cached_property
    def schedule(self) -> str:
        return self.plan()

    def plan(self) -> str:
        """Another schedule of the template; its id."""
        return self._made("/schedules", {"templateId": self.template, "cron": "0 6 * * *"})["schedule"]["id"]

    @cached_property
    def trigger(self) -> str:
        return self.hook()

    def hook(self) -> str:
        """Another trigger of the template; its id."""
        return self._made("/triggers", {"templateId": self.template})["trigger"]["id"]

    def path(self, template: str, /, **instead: str) -> str:
        """The template's path with this world's ids, or with others given by name."""
        return fill(template, self) if not instead else fill(template, {**self.ids(template), **instead})

    def ids(self, template: str) -> dict[str, str]:
        """The ids of the template's placeholders."""
        return {name: self[name] for name in placeholders(template)}


def placeholders(template: str) -> list[str]:
    """The names in braces."""
    return [part[1:-1] for part in template.split("/") if part.startswith("{")]


def fill(template: str, ids: Any) -> str:
    """The path with ids in the place of the names."""
    return "/".join(ids[part[1:-1]] if part.startswith("{") else part for part in template.split("/"))


def stored() -> dict[str, list[Any]]:
    """Every row of ours as the database has it, and every file, to compare a before with an after."""
    found = {}
    with connection.cursor() as cursor:
        for name, query in _queries():
            cursor.execute(query)
            found[name] = cursor.fetchall()
    found["files"] = sorted((str(path), path.read_bytes()) for path in settings.WORKSPACES.rglob("*") if path.is_file())
    return found


@cache
def _queries() -> list[tuple[str, str]]:
    models = [model for label in OURS for model in apps.get_app_config(label).get_models()]
    return [(model.__name__, _select(model)) for model in models]


def _select(model: Any) -> str:
    columns = ", ".join(f'"{f.column}"' for f in model._meta.concrete_fields if f.attname not in IGNORED)
    return f'SELECT {columns} FROM "{model._meta.db_table}" ORDER BY "{model._meta.pk.column}"'
