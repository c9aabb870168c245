"""Sessions and messages in the admin."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from agents_app.models import Agent, Task
from sessions_app.models import LiveServer, LiveSocket, Message, Session
from taskmaster.core.clock import now
from taskmaster.core.ids import new_id
from taskmaster.orgs.models import Organization
from taskmaster.orgs.organizations import create_organization
from tests.admin import (
    HOSTILE,
    assert_a_longer_list_takes_no_more_queries,
    assert_escaped,
    assert_nothing_can_be_changed,
    detail,
    found,
    plan,
    queries,
    staff,
    statuses,
)
from tests.conftest import Person

pytestmark = pytest.mark.django_db

SESSIONS, MESSAGES = "/admin/sessions_app/session/", "/admin/sessions_app/message/"


@pytest.fixture
def session(org: Organization) -> Session:
    """With the local agent."""
    return opened(org)


def opened(org: Organization) -> Session:
    """One more, with an agent whose configuration holds a secret."""
    agent = org.agents.get(type="custom")
    Agent.objects.filter(pk=agent.pk).update(config={"apiKey": "sk-hidden"})
    return Session.objects.create(org=org, agent_type="custom", agent=agent)


def said(session: Session, content: str = "Hello", metadata: Any = None) -> Message:
    """One more message, whose turn it is."""
    message = Message.objects.create(
        session=session, position=session.messages.count() + 1, content=content, metadata=metadata or {}
    )
    assert session.agent
    about = {"origin": "message", "origin_id": message.pk, "session_id": session.pk}
    task = Task.objects.create(org=session.org, agent=session.agent, type="message", description=content, **about)
    message.task_id = task.pk
    message.save()
    Session.objects.filter(pk=session.pk).update(active_message_id=message.pk)
    return message


def test_a_session_is_listed_and_shown_with_its_links(admin: Client, session: Session) -> None:
    message = said(session)
    for path in (SESSIONS, detail(SESSIONS, session.pk)):
        page = admin.get(path)
        assert page.status_code == 200
        assert session.pk in page.text
        assert ">wonderland<" in page.text
        assert f'<a href="{detail("/admin/agents_app/agent/", str(session.agent_id))}">Local model</a>' in page.text
        assert "sk-hidden" not in page.text
    assert f'href="{detail(MESSAGES, message.pk)}"' in page.text
    assert f'href="{MESSAGES}?q={session.pk}"' in page.text
    assert f'href="/admin/agents_app/task/?q={session.pk}"' in page.text


def test_a_session_with_nobody_in_particular_is_shown(admin: Client, org: Organization) -> None:
    session = Session.objects.create(org=org, agent_type="claude", capabilities=["flying"])
    assert found(admin, SESSIONS) == [session.pk]
    assert "&quot;flying&quot;" in admin.get(detail(SESSIONS, session.pk)).text


def test_a_message_is_listed_and_shown_with_its_links(admin: Client, session: Session) -> None:
    message = said(session, metadata={"ticket": 7})
    links = [detail("/admin/agents_app/task/", message.task_id), detail(SESSIONS, session.pk)]
    for path in (MESSAGES, detail(MESSAGES, message.pk)):
        page = admin.get(path)
        assert page.status_code == 200
        assert [f'href="{link}"' in page.text for link in links] == [True, True]
    assert "&quot;ticket&quot;: 7" in page.text


def test_a_message_links_to_its_task_and_back(admin: Client, session: Session) -> None:
    message = said(session)
    task = admin.get(detail("/admin/agents_app/task/", message.task_id))
    assert task.status_code == 200
    assert f'href="{detail(MESSAGES, message.pk)}"' in task.text
    assert f'href="{detail(SESSIONS, session.pk)}"' in task.text


def test_content_is_escaped(admin: Client, session: Session) -> None:
    message = said(session, HOSTILE, {"context": {"note": HOSTILE}})
    Message.objects.filter(pk=message.pk).update(response={"content": HOSTILE}, error=HOSTILE)
    assert_escaped(admin, MESSAGES, detail(MESSAGES, message.pk))


def test_a_long_message_is_shortened_in_the_list_alone(admin: Client, session: Session) -> None:
    message = said(session, "x" * 5000)
    page = admin.get(MESSAGES)
    assert "x" * 79 + "…" in page.text
    assert "x" * 81 not in page.text
    assert set(page.context["cl"].result_list[0].get_deferred_fields()) == {"content", "metadata", "response", "error"}
    assert "x" * 5000 in admin.get(detail(MESSAGES, message.pk)).text


def test_a_session_is_found(admin: Client, session: Session, charlie: Person) -> None:
    other = opened(charlie.org)
    assert found(admin, SESSIONS, q=session.pk) == [session.pk]
    assert found(admin, SESSIONS, q="elsewhere") == found(admin, SESSIONS, q=charlie.org.pk) == [other.pk]
    assert found(admin, SESSIONS, q=new_id("session")) == found(admin, SESSIONS, q="nobody") == []


def test_messages_are_found_by_their_id_and_their_session(admin: Client, session: Session, charlie: Person) -> None:
    first, second = said(session), said(session)
    said(opened(charlie.org))
    assert found(admin, MESSAGES, q=first.pk) == [first.pk]
    assert found(admin, MESSAGES, q=session.pk) == [second.pk, first.pk]
    assert found(admin, MESSAGES, q="wonderland") == []


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL reads a table of one row whole")
@pytest.mark.parametrize(("path", "column"), [(SESSIONS, "id"), (MESSAGES, "id"), (MESSAGES, "session_id")])
def test_a_search_for_an_id_uses_an_index(admin: Client, session: Session, path: str, column: str) -> None:
    message = said(session)
    wanted = session.pk if path == SESSIONS or column == "session_id" else message.pk
    table = "sessions_app_session" if path == SESSIONS else "sessions_app_message"
    asked = [sql for sql in queries(admin, f"{path}?q={wanted}") if f'FROM "{table}"' in sql and "COUNT(" not in sql]
    assert len(asked) == 1
    assert f"SCAN {table}" not in plan(asked[0])


def test_sessions_are_filtered(admin: Client, org: Organization, charlie: Person) -> None:
    first, second = opened(org), opened(charlie.org)
    third = Session.objects.create(org=org, agent_type="claude")
    Session.objects.filter(pk=first.pk).update(status=Session.EXPIRED)
    Session.objects.filter(pk=second.pk).update(deleted_at=now())
    assert found(admin, SESSIONS, status="expired") == [first.pk]
    assert found(admin, SESSIONS, agent_type__exact="claude") == [third.pk]
    assert found(admin, SESSIONS, deleted="yes") == [second.pk]
    assert found(admin, SESSIONS, deleted="no") == [third.pk, first.pk]
    assert found(admin, SESSIONS, created="1h") == [third.pk, second.pk, first.pk]


def test_a_session_shows_its_open_sockets(admin: Client, session: Session) -> None:
    here = LiveServer.objects.create(host="here", pid=1, beat_at=now())
    killed = LiveServer.objects.create(host="here", pid=2, beat_at=now() - timedelta(minutes=5))
    for number, (server, names) in enumerate(((here, ["task.*"]), (here, ["*"]), (killed, ["agent.*"]))):
        LiveSocket.objects.create(pk=f"sock_{number}", server=server, session=session, names=names)
    assert "2, subscribed to *, task.*" in admin.get(detail(SESSIONS, session.pk)).text
    LiveServer.objects.all().delete()
    assert "subscribed to" not in admin.get(detail(SESSIONS, session.pk)).text


def test_an_idle_session_is_shown_as_the_api_shows_it(admin: Client, session: Session) -> None:
    Session.objects.update(last_activity=now() - timedelta(days=30))
    fresh, busy = opened(session.org), opened(session.org)
    Session.objects.filter(pk=busy.pk).update(last_activity=now() - timedelta(days=30), active_message_id=new_id("msg"))
    assert found(admin, SESSIONS, status="expired") == [session.pk]
    assert found(admin, SESSIONS, status="active") == [busy.pk, fresh.pk]
    assert len(found(admin, SESSIONS, status="bogus")) == 3
    Session.objects.exclude(pk=session.pk).delete()
    for path in (SESSIONS, detail(SESSIONS, session.pk)):
        assert "expired</" in admin.get(path).text


def test_messages_are_filtered_by_status(admin: Client, session: Session) -> None:
    first, second = said(session), said(session)
    Message.objects.filter(pk=first.pk).update(status=Message.PROCESSING)
    assert found(admin, MESSAGES, status="processing") == [first.pk]
    assert found(admin, MESSAGES, status="queued") == [second.pk]
    assert found(admin, MESSAGES, status="failed") == []


@pytest.mark.parametrize("path", [SESSIONS, MESSAGES])
def test_a_longer_list_takes_no_more_queries(admin: Client, path: str) -> None:
    def more() -> None:
        said(opened(create_organization(slug=f"org-{Organization.objects.count()}")))

    asked = assert_a_longer_list_takes_no_more_queries(admin, path, more)
    assert not [sql for sql in asked if "config" in sql]


def test_nothing_can_be_changed(admin: Client, session: Session) -> None:
    message = said(session)
    assert_nothing_can_be_changed(admin, SESSIONS, session.pk, timeout="1")
    assert_nothing_can_be_changed(admin, MESSAGES, message.pk, content="x")
    message.refresh_from_db()
    session.refresh_from_db()
    assert (message.content, session.timeout) == ("Hello", 30_000)


def test_who_may_look(client: Client, session: Session) -> None:
    message = said(session)
    pages = (SESSIONS, detail(SESSIONS, session.pk), MESSAGES, detail(MESSAGES, message.pk))
    assert statuses(client, *pages) == [302] * 4
    assert statuses(staff(), *pages) == [403] * 4
    assert statuses(staff("view_message"), *pages) == [403, 403, 200, 200]
