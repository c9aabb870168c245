"""Operators make, limit and end organizations and tokens in the admin, and the API obeys at once."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session as BrowserSession
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents_app.models import Agent
from taskmaster.core.clock import now
from taskmaster.orgs.models import ApiToken, Organization
from taskmaster.orgs.organizations import create_organization
from taskmaster.orgs.tokens import issue_token, revoke_token
from tests.admin import (
    ESCAPED,
    HOSTILE,
    act,
    assert_a_longer_list_takes_no_more_queries,
    assert_escaped,
    errors,
    found,
    staff,
    statuses,
)
from tests.conftest import Person

pytestmark = pytest.mark.django_db

ORGS, TOKENS = "/admin/orgs/organization/", "/admin/orgs/apitoken/"
SECRET = re.compile(r"tm_[\w-]{43}")


def new_token(client: Client, org: Organization, /, **fields: Any) -> Any:
    """The answer to the form for a new token."""
    data = {"org": org.pk, "name": "ci", "scopes": ["read"], "rate_limit": "", **fields}
    return client.post(TOKENS + "add/", data)


def changed_token(client: Client, token: ApiToken, **fields: Any) -> Any:
    """The answer to the form for a token."""
    data = {"name": token.name, "scopes": token.scopes, "rate_limit": token.rate_limit, **fields}
    return client.post(f"{TOKENS}{token.pk}/change/", data)


def shown(page: Any) -> list[str]:
    """The names of the rows of a list."""
    return [row.name for row in page.context["cl"].result_list]


def token_of(person: Person) -> ApiToken:
    return ApiToken.objects.get(org=person.org)


# Organizations


def test_a_new_organization_gets_its_agents_and_its_limit(admin: Client) -> None:
    answer = admin.post(ORGS + "add/", {"slug": "acme", "name": "", "rate_limit": "7/1m"})
    org = Organization.objects.get()
    assert answer.status_code == 302
    assert (org.slug, org.name, org.rate_limit) == ("acme", "acme", "7/1m")
    assert sorted(org.agents.values_list("type", flat=True)) == ["claude", "codegen", "custom"]
    assert LogEntry.objects.get().object_id == org.pk


def test_an_organization_has_limits_from_one_on_or_none(admin: Client) -> None:
    limits = {"token_budget": "1000", "max_running": "2"}
    admin.post(ORGS + "add/", {"slug": "acme", "name": "", "rate_limit": ""} | limits)
    org = Organization.objects.get()
    assert (org.token_budget, org.max_running) == (1000, 2)
    page = f"{ORGS}{org.pk}/change/"
    for name in limits:
        for value in ("0", "-1", "x", "9007199254740992"):
            assert list(errors(admin.post(page, {"name": "", "rate_limit": ""} | limits | {name: value}))) == [name]
    assert admin.post(page, {"name": "", "rate_limit": "", "max_running": "3"}).status_code == 302
    org.refresh_from_db()
    assert (org.token_budget, org.max_running) == (None, 3)


def test_an_organization_whose_agents_cannot_be_made_is_not_made(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(org: Organization) -> None:
        raise RuntimeError

    monkeypatch.setattr("agents_app.registry.create_default_agents", broken)
    with pytest.raises(RuntimeError):
        admin.post(ORGS + "add/", {"slug": "acme", "name": "", "rate_limit": ""})
    assert not Organization.objects.exists()


def test_a_slug_is_taken_once(admin: Client, org: Organization) -> None:
    assert "slug" in errors(admin.post(ORGS + "add/", {"slug": org.slug, "name": "", "rate_limit": ""}))
    assert Organization.objects.count() == 1


def test_a_slug_stays(admin: Client, org: Organization) -> None:
    data = {"slug": "other", "name": "Renamed", "rate_limit": ""}
    assert admin.post(f"{ORGS}{org.pk}/change/", data).status_code == 302
    org.refresh_from_db()
    assert (org.slug, org.name) == ("wonderland", "Renamed")


@pytest.mark.parametrize("rate", ["5", "0/15m", "10/1w", "-1/1m", "1000 / 15m", "1000/0m", HOSTILE])
def test_a_wrong_rate_is_refused(admin: Client, alice: Person, rate: str) -> None:
    org, token = alice.org, token_of(alice)
    pages = [
        admin.post(ORGS + "add/", {"slug": "acme", "name": "", "rate_limit": rate}),
        admin.post(f"{ORGS}{org.pk}/change/", {"name": org.name, "rate_limit": rate}),
        new_token(admin, org, rate_limit=rate),
        changed_token(admin, token, rate_limit=rate),
    ]
    for page in pages:
        assert "such as 1000/15m" in errors(page)["rate_limit"][0]
        assert HOSTILE not in page.text
    assert Organization.objects.count() == ApiToken.objects.count() == 1
    assert not Organization.objects.exclude(rate_limit="").exists()
    assert not ApiToken.objects.exclude(rate_limit="").exists()


def test_an_organization_is_suspended_and_restored(admin: Client, alice: Person, charlie: Person) -> None:
    assert alice.get("/agents").status_code == 200
    act(admin, ORGS, "suspend", alice.org)
    assert (alice.get("/agents").status_code, charlie.get("/agents").status_code) == (403, 200)
    act(admin, ORGS, "restore", alice.org)
    assert alice.get("/agents").status_code == 200
    told = LogEntry.objects.order_by("pk").values_list("object_id", "change_message")
    assert list(told) == [(alice.org.pk, "Suspended."), (alice.org.pk, "Restored.")]


def test_organizations_are_filtered_by_status(admin: Client, org: Organization, charlie: Person) -> None:
    act(admin, ORGS, "suspend", org)
    assert found(admin, ORGS, status="suspended") == [org.pk]
    assert found(admin, ORGS, status="active") == [charlie.org.pk]
    assert len(found(admin, ORGS, status="bogus")) == 2
    assert '<td class="field-status">suspended</td>' in admin.get(ORGS).text


def test_suspending_again_changes_nothing(admin: Client, org: Organization) -> None:
    act(admin, ORGS, "suspend", org)
    before = Organization.objects.get().suspended_at
    assert "Suspended: 0." in act(admin, ORGS, "suspend", org).text
    assert Organization.objects.get().suspended_at == before is not None


def test_nothing_is_deleted_by_accident(admin: Client, alice: Person) -> None:
    token = token_of(alice)
    for path, row in ((ORGS, alice.org), (TOKENS, token)):
        assert "delete_selected" not in admin.get(path).text
        act(admin, path, "delete_selected", row)
        assert admin.post(f"{path}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert (Organization.objects.count(), ApiToken.objects.count()) == (1, 1)


def test_the_list_counts_valid_tokens_and_agents_in_service(admin: Client, org: Organization) -> None:
    past, future = now() - timedelta(days=1), now() + timedelta(days=1)
    for end in (None, future, past):
        issue_token(org=org, name="t", scopes=["read"], expires_at=end)
    revoke_token(issue_token(org=org, name="t", scopes=["read"])[0])
    Agent.objects.filter(pk=Agent.objects.first().pk).update(deleted_at=now())  # type: ignore[union-attr]
    create_organization(slug="zero")
    rows = admin.get(ORGS).context["cl"].result_list
    assert [(row.slug, row.token_count, row.agent_count) for row in rows] == [("wonderland", 2, 2), ("zero", 0, 3)]


@pytest.mark.parametrize("query", ["wonder", "Alice's", "{id}"])
def test_an_organization_is_found(admin: Client, org: Organization, query: str) -> None:
    Organization.objects.filter(pk=org.pk).update(name="Alice's")
    create_organization(slug="elsewhere")
    assert found(admin, ORGS, q=query.format(id=org.pk)) == [org.pk]


def test_organizations_are_offered_to_the_token_form_by_search(admin: Client, org: Organization) -> None:
    create_organization(slug="elsewhere")
    asked = {"app_label": "orgs", "model_name": "apitoken", "field_name": "org", "term": "wonder"}
    found = admin.get("/admin/autocomplete/", asked).json()["results"]
    assert found == [{"id": org.pk, "text": "wonderland"}]
    assert "elsewhere" not in admin.get(TOKENS + "add/").text


# Tokens


def test_a_new_tokens_secret_is_shown_once_and_works(admin: Client, org: Organization) -> None:
    answer = new_token(admin, org, scopes=["agents", "read"], rate_limit="9/1h")
    (secret,) = SECRET.findall(answer.text)
    headers = {"Authorization": f"Bearer {secret}", "X-Org-ID": org.pk}
    assert Client().get("/api/v1/agents", headers=headers).status_code == 200
    token = ApiToken.objects.get()
    assert (token.org, token.name, token.scopes, token.rate_limit) == (org, "ci", ["read", "agents"], "9/1h")
    assert token.last_four == secret[-4:]
    assert "no-store" in answer["Cache-Control"]


def test_a_new_tokens_secret_is_nowhere_else(admin: Client, org: Organization) -> None:
    answer = new_token(admin, org)
    (secret,) = SECRET.findall(answer.text)
    token = ApiToken.objects.get()
    assert LogEntry.objects.get().object_id == token.pk
    assert secret not in str(admin.cookies) + str(answer.headers)
    assert all(secret not in str(kept.get_decoded()) for kept in BrowserSession.objects.all())
    pages = [TOKENS, f"{TOKENS}{token.pk}/change/", f"{TOKENS}{token.pk}/history/", "/admin/", TOKENS + "add/"]
    for path in pages:
        page = admin.get(path)
        assert page.status_code == 200
        assert secret not in page.text
        assert secret[3:-4] not in page.text
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            assert secret[3:-4] not in str(cursor.fetchall()), table


def test_a_digest_is_never_shown(admin: Client, alice: Person) -> None:
    token = token_of(alice)
    page = admin.get(f"{TOKENS}{token.pk}/change/").text
    assert token.last_four in page
    assert token.digest not in page + admin.get(TOKENS).text


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("org", {"org": ""}),
        ("name", {"name": ""}),
        ("scopes", {"scopes": []}),
        ("scopes", {"scopes": ["everything"]}),
        ("expires_at", {"expires_at_0": "2020-01-01", "expires_at_1": "00:00:00"}),
    ],
)
def test_a_wrong_token_is_not_made(admin: Client, org: Organization, field: str, fields: Any) -> None:
    page = new_token(admin, org, **fields)
    assert list(errors(page)) == [field]
    assert not SECRET.findall(page.text)
    assert not ApiToken.objects.exists()


def test_a_token_ends_when_the_form_says(admin: Client, org: Organization) -> None:
    new_token(admin, org, expires_at_0="2999-01-31", expires_at_1="12:30:00")
    assert ApiToken.objects.get().expires_at.isoformat() == "2999-01-31T12:30:00+00:00"  # type: ignore[union-attr]


@pytest.mark.parametrize("action", ["revoke", "expire"])
def test_an_ended_token_is_refused(admin: Client, alice: Person, bob: Person, action: str) -> None:
    token = ApiToken.objects.filter(org=alice.org).order_by("id").first()
    assert alice.get("/agents").status_code == 200
    act(admin, TOKENS, action, token)
    assert (alice.get("/agents").status_code, bob.get("/agents").status_code) == (401, 200)
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.change_message) == (token.pk, {"revoke": "Revoked.", "expire": "Expired."}[action])  # type: ignore[union-attr]


def test_an_end_that_has_passed_stays(admin: Client, org: Organization) -> None:
    past = now() - timedelta(days=1)
    token, _ = issue_token(org=org, name="old", scopes=["read"], expires_at=past)
    assert "Expired: 0." in act(admin, TOKENS, "expire", token).text
    fields = {"expires_at_0": past.strftime("%Y-%m-%d"), "expires_at_1": past.strftime("%H:%M:%S")}
    assert changed_token(admin, token, name="older", **fields).status_code == 302
    token.refresh_from_db()
    assert (token.name, token.expires_at) == ("older", past)


def test_a_token_is_changed_but_not_moved(admin: Client, alice: Person, charlie: Person) -> None:
    token = token_of(alice)
    fields = {"org": charlie.org.pk, "name": "renamed", "scopes": ["write"], "digest": "0", "last_four": "0000"}
    assert changed_token(admin, token, **fields).status_code == 302
    changed = ApiToken.objects.get(pk=token.pk)
    assert (changed.name, changed.scopes) == ("renamed", ["write"])
    assert (changed.org, changed.digest, changed.last_four) == (alice.org, token.digest, token.last_four)
    assert alice.get("/agents").status_code == 403


def test_a_change_leaves_the_other_columns_alone(admin: Client, alice: Person) -> None:
    with CaptureQueriesContext(connection) as captured:
        changed_token(admin, token_of(alice), name="renamed")
    (update,) = [q["sql"] for q in captured if q["sql"].startswith('UPDATE "orgs_apitoken"')]
    assert re.findall(r'"(\w+)" = ', update.split("WHERE")[0]) == ["name"]


def test_a_tokens_limit_takes_effect(admin: Client, alice: Person) -> None:
    assert changed_token(admin, token_of(alice), rate_limit="2/15m").status_code == 302
    assert [alice.get("/agents").status_code for _ in range(3)] == [200, 200, 429]


def test_an_organizations_limit_takes_effect(admin: Client, alice: Person, charlie: Person) -> None:
    path = f"{ORGS}{alice.org.pk}/change/"
    assert admin.post(path, {"name": "w", "rate_limit": "2/15m"}).status_code == 302
    assert [alice.get("/agents").status_code for _ in range(3)] == [200, 200, 429]
    assert [charlie.get("/agents").status_code for _ in range(3)] == [200, 200, 200]


def test_tokens_are_filtered_by_status(admin: Client, org: Organization) -> None:
    past = now() - timedelta(days=1)
    issue_token(org=org, name="valid", scopes=["read"])
    issue_token(org=org, name="expired", scopes=["read"], expires_at=past)
    revoke_token(issue_token(org=org, name="revoked", scopes=["read"], expires_at=past)[0])
    for status in ("valid", "expired", "revoked"):
        page = admin.get(TOKENS, {"status": status})
        assert shown(page) == [status]
        assert f'<td class="field-status">{status}</td>' in page.text
    assert len(shown(admin.get(TOKENS, {"status": "bogus"}))) == 3


def test_a_token_is_found(admin: Client, org: Organization, charlie: Person) -> None:
    token, _ = issue_token(org=org, name="deployer", scopes=["read"])
    for query in (token.pk, "deploy", "wonderland", token.last_four):
        assert shown(admin.get(TOKENS, {"q": query})) == ["deployer"], query
    assert shown(admin.get(TOKENS, {"q": "nothing"})) == []


# Everything


def test_the_pages_say_whose_they_are(admin: Client) -> None:
    page = admin.get("/admin/").text
    assert "<title>Operations | Task Master</title>" in page
    assert '<a href="/docs">' in page


def test_times_are_told_as_in_the_logs(admin: Client, org: Organization) -> None:
    told = org.created_at.strftime("%Y-%m-%d %H:%M:%SZ")
    assert told in admin.get(ORGS).text
    assert told in admin.get(f"{ORGS}{org.pk}/change/").text


def test_the_form_for_a_token_has_one_button(admin: Client) -> None:
    page = admin.get(TOKENS + "add/").text
    assert [name in page for name in ('name="_save"', "_addanother", "_continue")] == [True, False, False]


@pytest.mark.parametrize("path", [ORGS, TOKENS])
def test_a_longer_list_takes_no_more_queries(admin: Client, path: str) -> None:
    def more() -> None:
        org = create_organization(slug=f"org-{Organization.objects.count()}")
        issue_token(org=org, name="t", scopes=["read"])

    assert_a_longer_list_takes_no_more_queries(admin, path, more)


def test_names_are_escaped(admin: Client, alice: Person) -> None:
    Organization.objects.update(name=HOSTILE)
    ApiToken.objects.update(name=HOSTILE)
    token = token_of(alice)
    assert_escaped(admin, ORGS, f"{ORGS}{alice.org.pk}/change/", TOKENS, f"{TOKENS}{token.pk}/change/")
    issued = new_token(admin, alice.org, name=HOSTILE).text
    assert (HOSTILE in issued, ESCAPED in issued) == (False, True)


def test_strangers_are_sent_to_the_login(client: Client, alice: Person) -> None:
    for path in (ORGS, TOKENS, TOKENS + "add/", f"{TOKENS}{token_of(alice).pk}/change/"):
        answer = client.get(path)
        assert (answer.status_code, answer["Location"]) == (302, f"/admin/login/?next={path}")


def test_staff_without_permission_see_nothing(alice: Person) -> None:
    client = staff()
    pages = (ORGS, ORGS + "add/", TOKENS, TOKENS + "add/", f"{TOKENS}{token_of(alice).pk}/change/")
    assert statuses(client, *pages) == [403] * 5
    assert new_token(client, alice.org).status_code == 403
    assert ApiToken.objects.count() == 1


def test_staff_who_may_view_change_nothing(alice: Person) -> None:
    client = staff("view_organization", "view_apitoken")
    token = token_of(alice)
    pages = (ORGS, f"{ORGS}{alice.org.pk}/change/", TOKENS, f"{TOKENS}{token.pk}/change/")
    assert statuses(client, *pages) == [200] * 4
    assert "read, write, agents, admin" in client.get(f"{TOKENS}{token.pk}/change/").text
    assert changed_token(client, token, name="x").status_code == 403
    assert new_token(client, alice.org).status_code == 403
    act(client, TOKENS, "revoke", token)
    act(client, ORGS, "suspend", alice.org)
    assert alice.get("/agents").status_code == 200
    assert ApiToken.objects.get().name == "test"


def test_staff_who_may_add_and_change_do(org: Organization) -> None:
    client = staff("add_apitoken", "change_apitoken", "view_apitoken")
    assert len(SECRET.findall(new_token(client, org).text)) == 1
    token = ApiToken.objects.get()
    act(client, TOKENS, "revoke", token)
    assert ApiToken.objects.get().revoked_at is not None
