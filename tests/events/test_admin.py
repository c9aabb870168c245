"""The event log in the admin, and what all read-only lists there promise."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from taskmaster.core.clock import now
from taskmaster.core.ids import new_id
from taskmaster.events import admin as pages
from taskmaster.events.models import Event
from taskmaster.monitoring.models import WebServer
from taskmaster.orgs.models import Organization
from tests.admin import (
    HOSTILE,
    assert_a_longer_list_takes_no_more_queries,
    assert_escaped,
    assert_nothing_can_be_changed,
    found,
    plan,
    queries,
    staff,
    statuses,
)
from tests.conftest import Person

pytestmark = pytest.mark.django_db

EVENTS, SERVERS = "/admin/events/event/", "/admin/monitoring/webserver/"


def event(org: Organization, **fields: Any) -> Event:
    """One more."""
    return Event.objects.create(**{"org": org, "event_type": "webhook.test", "data": {"note": "hello"}, **fields})


def server(**fields: Any) -> WebServer:
    """One more."""
    return WebServer.objects.create(**{"host": "web-1", "pid": 7, "beat_at": now(), **fields})


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
    assert "SCAN events_event" not in plan(rows)


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
    def more() -> None:
        event(Organization.objects.create(slug=f"org-{Organization.objects.count()}"))
        server()

    assert_a_longer_list_takes_no_more_queries(admin, path, more)


def test_data_is_escaped(admin: Client, org: Organization) -> None:
    row = event(org, data={HOSTILE: HOSTILE})
    assert_escaped(admin, EVENTS, f"{EVENTS}{row.pk}/change/")


def test_nothing_can_be_changed(admin: Client, org: Organization) -> None:
    row, process = event(org), server()
    assert_nothing_can_be_changed(admin, EVENTS, row.pk, event_type="x")
    assert_nothing_can_be_changed(admin, SERVERS, process.pk, host="x")
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
    paths = (EVENTS, f"{EVENTS}{row.pk}/change/", SERVERS)
    assert [client.get(path)["Location"] for path in paths] == [f"/admin/login/?next={path}" for path in paths]
    assert statuses(staff(), *paths) == [403] * 3
    assert statuses(staff("view_event"), *paths) == [200, 200, 403]
