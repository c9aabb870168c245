"""Agents are drained in the admin, and their pages and their organization's say what they have used."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from agents_app import leases, retiring, spending
from agents_app.models import Action, Agent, Task
from taskmaster.core.clock import now
from tests.admin import act, detail, queries, staff
from tests.api.working import answer, claim, told
from tests.api.world import World
from tests.conftest import Person

pytestmark = pytest.mark.django_db

AGENTS, ORGS = "/admin/agents_app/agent/", "/admin/orgs/organization/"


@pytest.fixture
def world(alice: Person) -> World:
    return World(alice)


def agent(world: World) -> Agent:
    return Agent.objects.get(pk=world["agent"])


def test_a_drained_agent_finishes_what_it_runs(admin: Client, world: World) -> None:
    world.submit()
    (running,) = claim(world["agent"])
    world.submit()
    assert "Draining: 1." in act(admin, AGENTS, "drain", agent(world)).text
    assert (agent(world).status, claim(world["agent"])) == ("draining", [])
    assert leases.complete(running, result={})
    retiring.finish()
    assert agent(world).status == "paused"
    assert LogEntry.objects.get().change_message == "Draining."


def test_what_a_drained_agent_has_waiting_goes_to_another(
    admin: Client, alice: Person, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents_app.fleet._trouble", lambda agent, resolved: None)
    other = World(alice)["agent"]
    Agent.objects.exclude(pk__in=[world["agent"], other]).delete()
    body = {"type": "t", "description": "d", "agentType": "custom"}
    tasks = [alice.post("/tasks", body).json()["taskId"] for _ in range(2)]
    act(admin, AGENTS, "drain", agent(world))
    assert set(Task.objects.filter(pk__in=tasks).values_list("agent_id", flat=True)) == {other}
    assert agent(world).status == "paused"


def test_an_agent_out_of_service_is_not_drained(admin: Client, world: World) -> None:
    Agent.objects.filter(pk=world["agent"]).update(deleted_at=now())
    assert "Draining: 0." in act(admin, AGENTS, "drain", agent(world)).text
    assert agent(world).status == "active"
    assert told(world.person.org, "agent.status") == []


def test_who_may_only_look_drains_nothing(world: World) -> None:
    client = staff("view_agent")
    assert 'value="drain"' not in client.get(AGENTS).text
    act(client, AGENTS, "drain", agent(world))
    assert agent(world).status == "active"


def test_an_agents_page_shows_its_failures_and_when_it_is_tried_again(admin: Client, world: World) -> None:
    moment = datetime(2031, 5, 4, 13, 30, tzinfo=UTC)
    Agent.objects.filter(pk=world["agent"]).update(status=Agent.ERROR, failures=1234, retry_at=moment)
    page = admin.get(detail(AGENTS, world["agent"])).text
    assert ("1234" in page, "2031-05-04 13:30:00Z" in page) == (True, True)


def used(client: Client, path: str, field: str) -> str:
    """What a page says of what was used."""
    return client.get(path).text.partition(f"field-{field}")[2].partition("readonly")[2].partition("<")[0][2:]


def test_what_was_used_is_shown_of_an_agent_and_of_its_organization(admin: Client, world: World) -> None:
    org = world.person.org
    agent_page, org_page = detail(AGENTS, world["agent"]), detail(ORGS, org.pk)
    nothing = "0 tokens in 0 attempts, 0 seconds of running"
    assert used(admin, agent_page, "used") == used(admin, org_page, "used_by_org") == nothing
    for tokens in (1_200, 34):
        world.submit()
        answer(world["agent"], tokens_used=tokens)
    spending.spend(Task(org=org, agent_id="agent_x", started_at=now() - timedelta(seconds=90)), 1_000_000)
    assert used(admin, agent_page, "used") == "1,234 tokens in 2 attempts, 0 seconds of running"
    assert used(admin, org_page, "used_by_org") == "1,001,234 tokens in 3 attempts, 90 seconds of running"
    spending.fold()
    assert used(admin, org_page, "used_by_org") == "1,001,234 tokens in 3 attempts, 90 seconds of running"


def test_the_lists_do_not_count_what_was_used(admin: Client, world: World) -> None:
    assert world.agent
    for path in (AGENTS, ORGS, ORGS + "add/"):
        assert not [sql for sql in queries(admin, path) if "spending" in sql or "agents_app_account" in sql]


def page_of(admin: Client, pk: str) -> str:
    return admin.get(detail(AGENTS, pk)).text


def test_its_page_says_what_runs_and_when_it_was_heard_of(admin: Client, world: World) -> None:
    assert "never: offline" in page_of(admin, world.runner)
    assert world.leased_task
    page = page_of(admin, world.runner)
    assert "1 of 5" in page
    assert ": offline" not in page


def test_the_list_says_who_is_out_of_service(admin: Client, alice: Person, world: World) -> None:
    alice.delete(f"/agents/{world['agent']}")
    assert '<td class="field-state">deleted</td>' in admin.get(f"{AGENTS}?q={world['agent']}").text


def test_its_default_duration_is_what_tasks_are_estimated_at(admin: Client, alice: Person, world: World) -> None:
    path = f"/agents/{world['agent']}"
    assert alice.patch(path, {"defaultDuration": 90_000}).json()["agent"]["defaultDuration"] == 90_000
    body = {"type": "t", "description": "d"}
    assert alice.post(f"{path}/tasks", body).json()["estimatedDuration"] == 90_000
    assert 'name="default_duration" value="90000"' in page_of(admin, world["agent"])


def test_a_task_and_an_action_lead_to_their_workflow(admin: Client, world: World) -> None:
    workflow = world["running_workflow"]
    action = Action.objects.get(workflow_id=workflow)
    task = Task.objects.get(pk=world["task"])
    Task.objects.filter(pk=task.pk).update(workflow_id=workflow)
    for path in (detail("/admin/agents_app/action/", action.pk), detail("/admin/agents_app/task/", task.pk)):
        assert f'href="{detail("/admin/workflows_app/workflow/", workflow)}"' in admin.get(path).text, path
