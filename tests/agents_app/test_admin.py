"""Agents, tasks and workers in the admin."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents_app.admin import TaskAdmin
from agents_app.models import Agent, Task, Worker
from taskmaster.core.clock import now
from taskmaster.core.ids import new_id
from taskmaster.events.models import Event
from taskmaster.orgs.models import Organization
from taskmaster.orgs.organizations import create_organization
from tests.admin import (
    HOSTILE,
    act,
    assert_a_longer_list_takes_no_more_queries,
    assert_escaped,
    assert_nothing_can_be_changed,
    detail,
    errors,
    found,
    plan,
    queries,
    staff,
    statuses,
)
from tests.conftest import Person

pytestmark = pytest.mark.django_db

AGENTS, TASKS, WORKERS = (f"/admin/agents_app/{name}/" for name in ("agent", "task", "worker"))
SECRET = "sk-hidden-0123456789"
CONFIG = {"baseUrl": "http://127.0.0.1:9/v1", "model": "m", "apiKey": SECRET}


@pytest.fixture
def agent(org: Organization) -> Agent:
    """With a configuration."""
    org.agents.all().delete()
    return Agent.objects.create(org=org, name="Worker bee", type="custom", backend="openai", config=CONFIG)


def task(agent: Agent, **fields: Any) -> Task:
    """One more."""
    return Task.objects.create(org=agent.org, agent=agent, **{"type": "code", "description": "Do it", **fields})


def worker(**fields: Any) -> Worker:
    """One more."""
    return Worker.objects.create(**{"host": "host-1", "pid": 7, "beat_at": now(), **fields})


def changed(client: Client, agent: Agent, **fields: Any) -> Any:
    """The answer to the form for an agent."""
    data = {
        "name": agent.name,
        "backend": agent.backend,
        "max_concurrent_tasks": agent.max_concurrent_tasks,
        "default_duration": agent.default_duration,
        "capabilities": "\n".join(agent.capabilities),
        "new_configuration": "",
    }
    return client.post(detail(AGENTS, agent.pk), data | fields)


def stored(agent: Agent) -> Agent:
    return Agent.objects.get(pk=agent.pk)


# Agents


def test_an_agent_is_changed(admin: Client, agent: Agent) -> None:
    fields = {"name": "Queen", "max_concurrent_tasks": "9", "capabilities": "code_review\n\n  testing \n"}
    assert changed(admin, agent, **fields).status_code == 302
    now_ = stored(agent)
    assert (now_.name, now_.max_concurrent_tasks, now_.capabilities) == ("Queen", 9, ["code_review", "testing"])
    assert (now_.backend, now_.config) == ("openai", CONFIG)


def test_a_change_of_nothing_changes_nothing(admin: Client, agent: Agent) -> None:
    Agent.objects.filter(pk=agent.pk).update(capabilities=["testing"])
    with CaptureQueriesContext(connection) as captured:
        assert changed(admin, stored(agent)).status_code == 302
    assert not [query for query in captured if query["sql"].startswith('UPDATE "agents_app_agent"')]
    assert LogEntry.objects.get().change_message == "[]"


def test_a_change_leaves_the_other_columns_alone(admin: Client, agent: Agent) -> None:
    with CaptureQueriesContext(connection) as captured:
        changed(admin, agent, name="Queen")
    (update,) = [q["sql"] for q in captured if q["sql"].startswith('UPDATE "agents_app_agent"')]
    assert re.findall(r'"(\w+)" = ', update.split("WHERE")[0]) == ["name"]


def test_what_is_not_in_the_form_cannot_be_sent(admin: Client, agent: Agent, charlie: Person) -> None:
    changed(admin, agent, org=charlie.org.pk, type="claude", status="paused", config="{}", name="Queen")
    now_ = stored(agent)
    assert (now_.name, now_.org_id, now_.type, now_.status) == ("Queen", agent.org_id, "custom", "active")
    assert now_.config == CONFIG


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("backend", "nothing"),
        ("max_concurrent_tasks", "0"),
        ("max_concurrent_tasks", "1001"),
        ("capabilities", "x" * 201),
        ("capabilities", "\n".join(map(str, range(101)))),
        ("new_configuration", "{"),
        ("new_configuration", "[1]"),
        ("new_configuration", '{"a": NaN}'),
        ("new_configuration", '{"model": "m"}'),
        ("new_configuration", '{"baseUrl": "file:///etc/passwd", "model": "m"}'),
    ],
)
def test_a_wrong_change_is_refused(admin: Client, agent: Agent, field: str, value: str) -> None:
    assert list(errors(changed(admin, agent, **{field: value}))) == [field]
    assert (stored(agent).name, stored(agent).config) == ("Worker bee", CONFIG)


def test_a_backend_that_needs_a_configuration_is_not_set_without_one(admin: Client, org: Organization) -> None:
    agent = org.agents.get(type="custom")
    assert "baseUrl" in errors(changed(admin, agent, backend="openai"))["new_configuration"][0]
    assert stored(agent).backend == "local"


def test_a_new_configuration_takes_the_place_of_the_old_one(admin: Client, agent: Agent) -> None:
    new = '{"baseUrl": "http://127.0.0.1:9/v2", "model": "n", "apiKey": "sk-brand-new"}'
    assert changed(admin, agent, new_configuration=new).status_code == 302
    assert stored(agent).config == {"baseUrl": "http://127.0.0.1:9/v2", "model": "n", "apiKey": "sk-brand-new"}
    with connection.cursor() as cursor:
        cursor.execute("SELECT config FROM agents_app_agent UNION SELECT change_message FROM django_admin_log")
        kept = str(cursor.fetchall())
    assert "new_configuration" in kept
    assert "sk-brand-new" not in kept


def test_a_configuration_is_on_no_page(admin: Client, agent: Agent) -> None:
    done = task(agent)
    refused = changed(admin, agent, name="", new_configuration='{"apiKey": "sk-brand-new"}')
    assert set(errors(refused)) == {"name", "new_configuration"}
    pages = [refused, changed(admin, agent, new_configuration='{"apiKey": "sk-brand-new"')]
    paths = [AGENTS, detail(AGENTS, agent.pk), f"{AGENTS}{quote(agent.pk)}/history/", TASKS, detail(TASKS, done.pk)]
    for page in pages + [admin.get(path) for path in paths]:
        assert page.status_code == 200
        assert "Worker bee" in page.text
        assert SECRET not in page.text
        assert "sk-brand-new" not in page.text


def test_a_configuration_is_not_even_read_to_show_an_agent(admin: Client, agent: Agent) -> None:
    done = task(agent)
    Agent.objects.filter(pk=agent.pk).update(status=Agent.ERROR)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE agents_app_agent SET config = 'sealed with a lost key'")
    for path in (AGENTS, detail(AGENTS, agent.pk), TASKS, detail(TASKS, done.pk)):
        read = [sql.partition(" FROM ")[0] for sql in queries(admin, path)]
        assert not [columns for columns in read if '"config"' in columns or '"lease"' in columns], path


def test_a_configuration_whose_key_is_lost_can_be_replaced(admin: Client, agent: Agent) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE agents_app_agent SET config = 'sealed with a lost key'")
    assert "cannot be read" in errors(changed(admin, agent, backend="echo"))["new_configuration"][0]
    assert changed(admin, agent, name="Queen").status_code == 302
    assert stored(agent).name == "Queen"
    new = '{"baseUrl": "http://127.0.0.1:9/v2", "model": "n"}'
    assert changed(admin, agent, new_configuration=new).status_code == 302
    assert stored(agent).config["model"] == "n"


def test_agents_are_paused_and_resumed(admin: Client, agent: Agent) -> None:
    Event.objects.all().delete()
    other = Agent.objects.create(org=agent.org, name="Other", type="custom", backend="echo")
    assert "Paused: 1." in act(admin, AGENTS, "pause", agent).text
    assert (stored(agent).status, stored(other).status) == ("paused", "active")
    assert "Resumed: 1." in act(admin, AGENTS, "resume", agent, other).text
    assert stored(agent).status == "active"
    told = [(e.event_type, e.data["agentId"], e.data["status"]) for e in Event.objects.order_by("number")]
    assert told == [("agent.status", agent.pk, "paused"), ("agent.status", agent.pk, "active")]
    history = LogEntry.objects.order_by("pk").values_list("object_id", "change_message")
    assert list(history) == [(agent.pk, "Paused."), (agent.pk, "Resumed.")]


def test_an_agent_out_of_service_stays_as_it_was(admin: Client, agent: Agent) -> None:
    Agent.objects.filter(pk=agent.pk).update(deleted_at=now(), capabilities=["testing"])
    page = admin.get(detail(AGENTS, agent.pk))
    assert (page.status_code, "&quot;testing&quot;" in page.text, "<textarea" in page.text) == (200, True, False)
    assert changed(admin, agent, name="Queen").status_code == 403
    act(admin, AGENTS, "pause", agent)
    assert (stored(agent).name, stored(agent).status) == ("Worker bee", "active")


def test_agents_are_neither_added_nor_deleted(admin: Client, agent: Agent) -> None:
    assert admin.get(AGENTS + "add/").status_code == 403
    assert admin.post(f"{AGENTS}{quote(agent.pk)}/delete/", {"post": "yes"}).status_code == 403
    assert "delete_selected" not in admin.get(AGENTS).text
    assert stored(agent).deleted_at is None


def test_agents_are_found_and_filtered(admin: Client, agent: Agent, charlie: Person) -> None:
    claude = charlie.org.agents.get(type="claude")
    for query in (agent.pk, "bee", "wonderland"):
        assert found(admin, AGENTS, q=query) == [agent.pk]
    assert found(admin, AGENTS, backend="openai") == found(admin, AGENTS, q="BEE", type__exact="custom") == [agent.pk]
    assert found(admin, AGENTS, type__exact="claude") == [claude.pk]
    assert found(admin, AGENTS, status__exact="paused") == []
    Agent.objects.filter(pk=claude.pk).update(deleted_at=now())
    assert found(admin, AGENTS, deleted="yes") == [claude.pk]


# Tasks and workers


def test_a_task_is_listed_and_shown(admin: Client, agent: Agent) -> None:
    row = task(agent, session_id=new_id("session"), context={"repo": "x"}, priority=3, result={"lines": 4})
    listed = admin.get(TASKS)
    assert row.pk in listed.text
    assert f'<a href="{detail(AGENTS, agent.pk)}">Worker bee</a>' in listed.text
    assert '<td class="field-priority_word">urgent</td>' in listed.text
    page = admin.get(detail(TASKS, row.pk))
    assert page.status_code == 200
    assert f'href="{detail("/admin/sessions_app/session/", row.session_id or "")}"' in page.text
    assert f'href="{detail(AGENTS, agent.pk)}"' in page.text
    assert "&quot;repo&quot;: &quot;x&quot;" in page.text
    assert "&quot;lines&quot;: 4" in page.text


def test_what_a_task_does_not_have_is_a_dash(admin: Client, agent: Agent) -> None:
    page = admin.get(detail(TASKS, task(agent).pk)).text
    assert (">None<" in page, ">null<" in page) == (False, False)
    moment = now()
    done = task(agent, status=Task.COMPLETED, started_at=moment, finished_at=moment + timedelta(milliseconds=1500))
    assert ">1500 ms<" in admin.get(detail(TASKS, done.pk)).text


def test_a_long_name_is_shortened_in_the_list_of_tasks(admin: Client, agent: Agent) -> None:
    Agent.objects.filter(pk=agent.pk).update(name="x" * 200)
    task(agent)
    page = admin.get(TASKS).text
    assert (">" + "x" * 29 + "…<" in page, "x" * 31 in page) == (True, False)


def test_a_lease_is_on_no_page(admin: Client, agent: Agent) -> None:
    row = task(agent, lease="lease-of-the-holder", status=Task.RUNNING)
    assert "lease-of-the-holder" not in admin.get(TASKS).text + admin.get(detail(TASKS, row.pk)).text


def test_texts_of_tasks_and_agents_are_escaped(admin: Client, agent: Agent) -> None:
    row = task(agent, type=HOSTILE, description=HOSTILE, context={HOSTILE: HOSTILE}, result=[HOSTILE], error=HOSTILE)
    Agent.objects.filter(pk=agent.pk).update(name=HOSTILE, capabilities=[HOSTILE], reason=HOSTILE)
    assert_escaped(admin, AGENTS, detail(AGENTS, agent.pk), TASKS, detail(TASKS, row.pk))


def test_a_task_is_found_by_what_it_belongs_to(admin: Client, agent: Agent, charlie: Person) -> None:
    session, workflow = new_id("session"), new_id("workflow")
    row = task(agent, session_id=session, workflow_id=workflow)
    other = task(charlie.org.agents.get(type="claude"))
    for query in (row.pk, session, workflow, agent.pk, agent.org.pk, "wonderland"):
        assert found(admin, TASKS, q=query) == [row.pk], query
    assert found(admin, TASKS, q="elsewhere") == [other.pk]
    assert found(admin, TASKS, q=new_id("task")) == found(admin, TASKS, q=new_id("msg")) == []


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL reads a table of one row whole")
@pytest.mark.parametrize("prefix", sorted(TaskAdmin.searched))
def test_a_search_uses_an_index(admin: Client, agent: Agent, prefix: str) -> None:
    row = task(agent, session_id=new_id("session"), workflow_id=new_id("workflow"))
    ids = {"task": row.pk, "session": row.session_id, "workflow": row.workflow_id, "agent": agent.pk}
    ids["org"] = agent.org_id
    (asked,) = [sql for sql in queries(admin, f"{TASKS}?q={ids[prefix]}") if "excerpted" in sql]
    assert "SCAN agents_app_task" not in plan(asked)


def test_tasks_are_filtered(admin: Client, agent: Agent) -> None:
    queued = task(agent)
    failed = task(agent, status=Task.FAILED, backend="echo", origin="message", origin_id=new_id("msg"))
    assert found(admin, TASKS, status="failed") == [failed.pk]
    assert found(admin, TASKS, status="queued") == [queued.pk]
    assert found(admin, TASKS, backend="echo") == [failed.pk]
    assert found(admin, TASKS, origin="task") == [queued.pk]
    assert found(admin, TASKS, created="24h") == [failed.pk, queued.pk]
    assert found(admin, TASKS, status="running") == []


def test_a_list_of_tasks_leaves_long_texts_in_the_database(admin: Client, agent: Agent) -> None:
    task(agent, description="x" * 5000)
    page = admin.get(TASKS)
    assert "x" * 79 + "…" in page.text
    assert "x" * 81 not in page.text
    (row,) = page.context["cl"].result_list
    assert row.get_deferred_fields() == {"description", "requirements", "context", "result", "error", "lease"}


def test_workers_are_listed_and_shown(admin: Client) -> None:
    live = worker(unready={"local": {"reason": "no model", "forGood": True}})
    gone = worker(host="host-2", beat_at=now() - timedelta(minutes=5))
    rows = {row.pk: row.alive for row in admin.get(WORKERS).context["cl"].result_list}
    assert rows == {live.pk: True, gone.pk: False}
    assert "&quot;reason&quot;: &quot;no model&quot;" in admin.get(detail(WORKERS, live.pk)).text
    assert 'alt="False"' in admin.get(detail(WORKERS, gone.pk)).text
    assert found(admin, WORKERS, q=live.pk) == [live.pk]


# Everything


@pytest.mark.parametrize("path", [AGENTS, TASKS, WORKERS])
def test_a_longer_list_takes_no_more_queries(admin: Client, path: str) -> None:
    def more() -> None:
        org = create_organization(slug=f"org-{Organization.objects.count()}")
        agents = org.agents.order_by("pk")
        agents[2].delete()
        agents[1].delete()
        task(agents[0])
        worker()

    assert_a_longer_list_takes_no_more_queries(admin, path, more)


def test_tasks_and_workers_cannot_be_changed(admin: Client, agent: Agent) -> None:
    row, process = task(agent), worker()
    assert_nothing_can_be_changed(admin, TASKS, row.pk, status="completed")
    assert_nothing_can_be_changed(admin, WORKERS, process.pk, host="x")
    row.refresh_from_db()
    process.refresh_from_db()
    assert (row.status, process.host) == ("queued", "host-1")


def test_who_may_look(client: Client, agent: Agent) -> None:
    pages = [AGENTS, detail(AGENTS, agent.pk), TASKS, detail(TASKS, task(agent).pk), WORKERS]
    assert [client.get(path)["Location"] for path in pages] == [f"/admin/login/?next={path}" for path in pages]
    assert statuses(staff(), *pages) == [403] * 5
    assert statuses(staff("view_agent"), *pages) == [200, 200, 403, 403, 403]


def test_who_may_only_look_changes_nothing(agent: Agent) -> None:
    client = staff("view_agent")
    page = client.get(detail(AGENTS, agent.pk)).text
    assert ("Worker bee" in page, "onfiguration" in page, SECRET in page) == (True, False, False)
    assert changed(client, agent, name="Queen").status_code == 403
    act(client, AGENTS, "pause", agent)
    assert (stored(agent).name, stored(agent).status) == ("Worker bee", "active")
