"""The event log in the admin, and what all read-only lists there promise."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from taskmaster.core.clock import now
from taskmaster.core.ids import new_id
from taskmaster.events import admin as pages
from taskmaster.events.models import Event
from taskmaster.monitoring.models import WebServer
from taskmaster.orgs.models import Organization
from tests.conftest import Person

pytestmark = pytest.mark.django_db

EVENTS, SERVERS = "/admin/events/event/", "/admin/monitoring/webserver/"
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def admin() -> Client:
    """A superuser's browser."""
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def event(org: Organization, **fields: Any) -> Event:
    """One more."""
    return Event.objects.create(**{"org": org, "event_type": "webhook.test", "data": {"note": "hello"}, **fields})


def server(**fields: Any) -> WebServer:
    """One more."""
    return WebServer.objects.create(**{"host": "web-1", "pid": 7, "beat_at": now(), **fields})


def found(client: Client, path: str, **query: str) -> list[Any]:
    """The ids in a list."""
    page = client.get(path, query)
    assert page.status_code == 200
    return [row.id for row in page.context["cl"].result_list]


def queries(client: Client, path: str) -> list[str]:
    """What a page asks the database."""
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return [query["sql"] for query in captured]


def test_an_event_is_listed_and_shown(admin: Client, org: Organization) -> None:
    row = event(org, data={"deep": {"note": "hello"}}, sequence=77)
    page = admin.get(EVENTS).text
    assert (row.id in page, ">wonderland<" in page, ">77<" in page) == (True, True, True)
    detail = admin.get(f"{EVENTS}{row.pk}/change/")
    assert detail.status_code == 200
    assert "&quot;deep&quot;: {\n    &quot;note&quot;: &quot;hello&quot;\n  }" in detail.text


def test_an_event_is_found_by_its_id(admin: Client, org: Organization) -> None:
    row, _ = event(org), event(org)
    assert found(admin, EVENTS, q=row.id) == [row.id]
    assert found(admin, EVENTS, q=new_id("evt")) == []


def test_events_are_found_by_their_organization(admin: Client, org: Organization, charlie: Person) -> None:
    Event.objects.all().delete()
    row, _ = event(org), event(charlie.org)
    for query in (org.pk, org.slug, f" {org.slug} "):
        assert found(admin, EVENTS, q=query) == [row.id]
    assert found(admin, EVENTS, q="nobody") == found(admin, EVENTS, q=new_id("task")) == []


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL reads a table of one row whole")
def test_a_search_uses_an_index(admin: Client, org: Organization) -> None:
    row = event(org)
    (rows,) = [sql for sql in queries(admin, f"{EVENTS}?q={row.id}") if "excerpted" in sql]
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN QUERY PLAN " + rows)
        plan = str(cursor.fetchall())
    assert "SCAN events_event" not in plan


def test_events_are_filtered_by_type(admin: Client, org: Organization) -> None:
    row = event(org, event_type="budget.reached")
    assert found(admin, EVENTS, event_type="budget.reached") == [row.id]
    assert row.id in found(admin, EVENTS, event_type="bogus")
    assert found(admin, EVENTS, event_type="workflow.failed") == []


def test_events_are_filtered_by_age(admin: Client, org: Organization) -> None:
    Event.objects.all().delete()
    ids = {}
    for age in (timedelta(0), timedelta(hours=2), timedelta(days=2), timedelta(days=10), timedelta(days=40)):
        made = pages.first_id("evt", now() - age)
        ids[age] = event(org, id=made + new_id("evt")[-16:]).id
    newest_first = list(ids.values())
    for created, count in (("1h", 1), ("24h", 2), ("7d", 3), ("30d", 4), ("bogus", 5)):
        assert sorted(found(admin, EVENTS, created=created)) == sorted(newest_first[:count]), created


def test_a_moments_first_id_is_where_its_ids_begin() -> None:
    before = pages.first_id("evt", now())
    made = new_id("evt")
    assert before <= made < pages.first_id("evt", now() + timedelta(milliseconds=2))
    assert len(before) == len("evt_") + 10


def test_a_long_list_is_not_counted_to_its_end(admin: Client, org: Organization, monkeypatch: Any) -> None:
    monkeypatch.setattr(pages, "COUNTED", 3)
    Event.objects.bulk_create([Event(org=org, event_type="webhook.test", data={}) for _ in range(5)])
    with CaptureQueriesContext(connection) as captured:
        page = admin.get(EVENTS)
    counts = [query["sql"] for query in captured if "COUNT(" in query["sql"]]
    assert page.context["cl"].result_count == 3
    assert len(counts) == 1
    assert "LIMIT 3" in counts[0]


def test_a_list_leaves_long_texts_in_the_database(admin: Client, org: Organization) -> None:
    event(org, data={"note": "x" * 5000})
    page = admin.get(EVENTS)
    assert "x" * 60 in page.text
    assert "x" * 90 not in page.text
    assert all("data" in row.get_deferred_fields() for row in page.context["cl"].result_list)


@pytest.mark.parametrize("path", [EVENTS, SERVERS])
def test_a_longer_list_takes_no_more_queries(admin: Client, path: str) -> None:
    def more(count: int) -> None:
        for _ in range(count):
            event(Organization.objects.create(slug=f"org-{Organization.objects.count()}"))
            server()

    more(2)
    few = queries(admin, path)
    more(18)
    assert len(found(admin, path)) == 20
    assert len(queries(admin, path)) == len(few)


def test_data_is_escaped(admin: Client, org: Organization) -> None:
    row = event(org, data={HOSTILE: HOSTILE})
    for path in (EVENTS, f"{EVENTS}{row.pk}/change/"):
        page = admin.get(path).text
        assert HOSTILE not in page
        assert "&lt;script&gt;" in page


def test_nothing_can_be_changed(admin: Client, org: Organization) -> None:
    row, process = event(org), server()
    for path, pk in ((EVENTS, row.pk), (SERVERS, process.pk)):
        assert admin.post(path + "add/", {}).status_code == 403
        assert admin.post(f"{path}{pk}/change/", {"event_type": "x", "host": "x"}).status_code == 403
        assert admin.post(f"{path}{pk}/delete/", {"post": "yes"}).status_code == 403
        assert "_selected_action" not in admin.get(path).text
    row.refresh_from_db()
    process.refresh_from_db()
    assert (row.event_type, process.host) == ("webhook.test", "web-1")


def test_web_servers_are_listed_and_shown(admin: Client) -> None:
    live, gone = server(host="here"), server(host="there", beat_at=now() - timedelta(minutes=5))
    rows = {row.host: row.alive for row in admin.get(SERVERS).context["cl"].result_list}
    assert rows == {"here": True, "there": False}
    assert 'alt="True"' in admin.get(f"{SERVERS}{live.pk}/change/").text
    assert 'alt="False"' in admin.get(f"{SERVERS}{gone.pk}/change/").text
    assert found(admin, SERVERS, q=live.pk) == [live.pk]


def test_who_may_look(client: Client, org: Organization) -> None:
    row = event(org)
    user = User.objects.create_user("staff", is_staff=True)
    for path in (EVENTS, f"{EVENTS}{row.pk}/change/", SERVERS):
        assert client.get(path)["Location"] == f"/admin/login/?next={path}"
        client.force_login(user)
        assert client.get(path).status_code == 403
        client.logout()
    user.user_permissions.set(Permission.objects.filter(codename="view_event"))
    client.force_login(user)
    assert [client.get(path).status_code for path in (EVENTS, f"{EVENTS}{row.pk}/change/", SERVERS)] == [200, 200, 403]
