"""Operators add, rotate and delete organizations' credentials; what they typed comes out nowhere."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.contrib.sessions.models import Session as BrowserSession
from django.db import connection
from django.test import Client

from agents_app import credentials
from agents_app.credential_forms import CHECKED_BY
from agents_app.models import PROVIDERS, Credential
from taskmaster.orgs.models import Organization
from taskmaster.orgs.organizations import create_organization
from tests.admin import (
    act,
    assert_a_longer_list_takes_no_more_queries,
    detail,
    errors,
    found,
    queries,
    staff,
    statuses,
)
from tests.conftest import Person

pytestmark = pytest.mark.django_db

PATH = "/admin/agents_app/credential/"
ADD = PATH + "add/"
SECRET, OTHER = "sk-hidden-0123456789", "sk-rotated-9876543210"
ELSEWHERE = "https://models.example.com/v1"


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    credentials._stored.forget()
    yield
    credentials._stored.forget()


def added(client: Client, org: Organization, /, **typed: str) -> Any:
    """The answer to the form for a new credential."""
    return client.post(ADD, {"org": org.pk, "provider": "openai", "api_key": SECRET} | typed)


def rotated(client: Client, credential: Credential, /, **typed: str) -> Any:
    """The answer to the form for a stored credential."""
    return client.post(detail(PATH, credential.pk), {"api_key": OTHER} | typed)


def credential(org: Organization, **fields: str) -> Credential:
    return credentials.store(org_id=org.pk, provider="openai", fields={"apiKey": SECRET} | fields)


def lose_the_key() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE agents_app_credential SET fields = 'sealed with a lost key'")


def everything_stored() -> str:
    with connection.cursor() as cursor:
        rows = []
        for table in connection.introspection.table_names():
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            rows += cursor.fetchall()
    return str(rows) + str([session.get_decoded() for session in BrowserSession.objects.all()])


def test_a_credential_is_added_and_used_at_once(admin: Client, org: Organization) -> None:
    assert credentials.of_org(org.pk, "openai") == {}
    assert added(admin, org, base_url=ELSEWHERE, api_key=f" {SECRET}\n").status_code == 302
    assert credentials.of_org(org.pk, "openai") == {"apiKey": SECRET, "baseUrl": ELSEWHERE}
    row = Credential.objects.get()
    assert (row.org_id, row.provider, row.last_four) == (org.pk, "openai", "6789")
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.object_repr) == (row.pk, "openai (…6789)")


def test_codegens_has_an_organization(admin: Client, org: Organization) -> None:
    assert "missing" in errors(added(admin, org, provider="codegen"))["codegen_org"][0]
    assert added(admin, org, provider="codegen", codegen_org="42").status_code == 302
    assert credentials.of_org(org.pk, "codegen") == {"apiKey": SECRET, "orgId": "42"}


def test_a_credential_is_rotated_and_nothing_of_the_old_one_stays(admin: Client, org: Organization) -> None:
    row = credential(org, baseUrl=ELSEWHERE)
    assert credentials.of_org(org.pk, "openai")["apiKey"] == SECRET
    assert rotated(admin, row).status_code == 302
    assert credentials.of_org(org.pk, "openai") == {"apiKey": OTHER}
    now_ = Credential.objects.get()
    assert (now_.pk, now_.last_four, now_.created_at) == (row.pk, "3210", row.created_at)
    assert now_.changed_at > row.changed_at


def test_a_stored_key_is_not_sent_to_an_address_that_is_typed_later(admin: Client, org: Organization) -> None:
    row = credential(org)
    page = rotated(admin, row, api_key="", base_url="https://evil.example.com/v1")
    assert list(errors(page)) == ["api_key"]
    assert credentials.of_org(org.pk, "openai") == {"apiKey": SECRET}


def test_a_credential_whose_key_is_lost_is_shown_and_rotated(admin: Client, org: Organization) -> None:
    row = credential(org)
    lose_the_key()
    assert statuses(admin, PATH, detail(PATH, row.pk)) == [200, 200]
    assert rotated(admin, row).status_code == 302
    assert credentials.of_org(org.pk, "openai") == {"apiKey": OTHER}


def test_a_credential_is_deleted(admin: Client, org: Organization, charlie: Person) -> None:
    mine, other = credential(org), credential(charlie.org)
    assert credentials.of_org(org.pk, "openai")["apiKey"] == SECRET
    assert admin.post(f"{PATH}{quote(mine.pk)}/delete/", {"post": "yes"}).status_code == 302
    assert credentials.of_org(org.pk, "openai") == {}
    assert list(Credential.objects.all()) == [other]
    assert credentials.of_org(charlie.org.pk, "openai")["apiKey"] == SECRET
    data = {"action": "delete_selected", "_selected_action": [other.pk], "post": "yes"}
    assert admin.post(PATH, data).status_code == 302
    assert credentials.of_org(charlie.org.pk, "openai") == {}
    assert not Credential.objects.exists()


def test_one_whose_key_is_lost_is_deleted_too(admin: Client, org: Organization) -> None:
    row = credential(org)
    lose_the_key()
    assert "openai (…6789)" in admin.get(f"{PATH}{quote(row.pk)}/delete/").text
    assert admin.post(f"{PATH}{quote(row.pk)}/delete/", {"post": "yes"}).status_code == 302
    assert not Credential.objects.exists()


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("org", {"org": ""}),
        ("org", {"org": "org_x"}),
        ("provider", {"provider": ""}),
        ("provider", {"provider": "other"}),
        ("api_key", {"api_key": " "}),
        ("api_key", {"api_key": "sk-é"}),
        ("api_key", {"api_key": "sk-a\r\nX-Header: b"}),
        ("api_key", {"api_key": "x" * 4097}),
        ("base_url", {"base_url": "file:///etc/passwd"}),
        ("base_url", {"base_url": "models.example.com"}),
        ("base_url", {"base_url": "ftp://x", "provider": "claude"}),
        ("base_url", {"base_url": "ftp://x", "provider": "codegen", "codegen_org": "1"}),
        ("api_key", {"api_key": "sk-é", "provider": "codegen", "codegen_org": "1"}),
        ("codegen_org", {"provider": "codegen", "codegen_org": "acme"}),
        ("codegen_org", {"provider": "codegen", "codegen_org": "0"}),
        ("codegen_org", {"codegen_org": "42"}),
    ],
)
def test_a_wrong_credential_is_refused(admin: Client, org: Organization, field: str, typed: dict[str, str]) -> None:
    page = added(admin, org, **typed)
    assert list(errors(page)) == [field]
    assert SECRET not in page.text
    assert not Credential.objects.exists()


def test_of_one_provider_there_is_one(admin: Client, org: Organization) -> None:
    credential(org)
    assert "already exists" in str(errors(added(admin, org, api_key=OTHER)))
    assert credentials.of_org(org.pk, "openai") == {"apiKey": SECRET}


def test_a_secret_is_on_no_page_and_nowhere_in_the_clear(admin: Client, org: Organization) -> None:
    added(admin, org)
    row = Credential.objects.get()
    pages = [added(admin, org, org="org_x"), rotated(admin, row, base_url="x"), rotated(admin, row)]
    paths = [PATH, ADD, detail(PATH, row.pk), f"{PATH}{quote(row.pk)}/history/", f"{PATH}{quote(row.pk)}/delete/"]
    pages += [admin.get(path) for path in [*paths, "/admin/"]]
    kept = everything_stored()
    for secret in (SECRET, OTHER):
        assert not [page for page in pages if secret in page.text]
        assert secret not in kept
    assert LogEntry.objects.count() == 2


def test_what_is_sealed_is_not_even_read_to_show_it(admin: Client, org: Organization) -> None:
    row = credential(org)
    for path in (PATH, detail(PATH, row.pk), f"{PATH}{quote(row.pk)}/delete/"):
        assert not [sql for sql in queries(admin, path) if '"agents_app_credential"."fields"' in sql], path


def test_what_is_not_in_the_form_cannot_be_sent(admin: Client, org: Organization, charlie: Person) -> None:
    row = credential(org)
    rotated(admin, row, org=charlie.org.pk, provider="claude", last_four="0000", fields='{"apiKey": "x"}')
    now_ = Credential.objects.get()
    assert (now_.org_id, now_.provider, now_.last_four, now_.fields) == (org.pk, "openai", "3210", {"apiKey": OTHER})


def test_credentials_are_found_and_filtered(admin: Client, org: Organization, charlie: Person) -> None:
    mine, other = credential(org), credentials.store(org_id=charlie.org.pk, provider="claude", fields={"apiKey": "x"})
    for query in (mine.pk, "wonderland", org.pk):
        assert found(admin, PATH, q=query) == [mine.pk], query
    assert found(admin, PATH, provider="claude", created="24h") == [other.pk]
    assert found(admin, PATH, q="6789") == []


def test_a_longer_list_takes_no_more_queries(admin: Client) -> None:
    def more() -> None:
        credential(create_organization(slug=f"org-{Organization.objects.count()}"))

    assert_a_longer_list_takes_no_more_queries(admin, PATH, more)


def test_who_may_do_what(client: Client, org: Organization) -> None:
    row = credential(org)
    pages = [PATH, detail(PATH, row.pk)]
    assert [client.get(path)["Location"] for path in pages] == [f"/admin/login/?next={path}" for path in pages]
    assert statuses(staff("view_agent"), *pages) == [403, 403]
    looker = staff("view_credential")
    assert statuses(looker, *pages, ADD) == [200, 200, 403]
    assert "api_key" not in looker.get(pages[1]).text
    delete = f"{PATH}{quote(row.pk)}/delete/"
    assert rotated(looker, row).status_code == looker.post(delete, {"post": "yes"}).status_code == 403
    assert "delete_selected" not in looker.get(PATH).text
    act(looker, PATH, "delete_selected", row)
    assert staff("change_credential").post(delete, {"post": "yes"}).status_code == 403
    assert added(staff("change_credential"), org, provider="claude").status_code == 403
    assert credentials.of_org(org.pk, "openai") == {"apiKey": SECRET}


def test_every_provider_is_checked() -> None:
    assert set(CHECKED_BY) == set(PROVIDERS) == set(credentials.OFFICIAL)
