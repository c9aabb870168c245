"""Tokens and the organization over REST, and what a token is worth in each state of its life."""

from datetime import timedelta

import pytest
from django.test import Client

from taskmaster.core.clock import iso, now
from taskmaster.orgs.models import SCOPES, ApiToken, Organization
from taskmaster.orgs.organizations import restore, suspend
from taskmaster.orgs.tokens import PREFIX, find_token, issue_token
from tests.conftest import V1

pytestmark = pytest.mark.django_db
SHOWN = {"id", "name", "scopes", "lastFour", "rateLimit", "expiresAt", "revokedAt", "lastUsedAt", "createdAt"}


def status(org, secret, path="/agents"):
    """What a request with that token is answered."""
    return Client().get(V1 + path, headers={"Authorization": f"Bearer {secret}", "X-Org-ID": org.pk}).status_code


def test_a_new_token_shows_its_secret_once(alice):
    response = alice.post("/tokens", {"name": "ci", "scopes": ["write", "read"]})
    token = response.json()["token"]
    assert response.status_code == 201
    assert set(token) == SHOWN | {"secret"}
    assert token["secret"].startswith(PREFIX)
    assert len(token["secret"]) >= 40
    assert token["lastFour"] == token["secret"][-4:]
    assert (token["name"], token["scopes"]) == ("ci", ["read", "write"])
    assert (token["rateLimit"], token["expiresAt"], token["revokedAt"], token["lastUsedAt"]) == (None,) * 4
    assert status(alice.org, token["secret"]) == 200
    listed = alice.get("/tokens")
    assert token["secret"] not in listed.content.decode()
    assert all(set(one) == SHOWN for one in listed.json()["tokens"])
    assert listed.json()["tokens"][0]["id"] == token["id"]


def test_the_secret_is_stored_nowhere(alice):
    made = alice.post("/tokens", {"name": "ci", "scopes": ["read"]}).json()["token"]
    row = ApiToken.objects.get(pk=made["id"])
    assert made["secret"] not in str(vars(row))
    assert made["secret"][3:] not in str(vars(row))
    assert len(row.digest) == 64


def test_a_token_is_found_where_its_location_says_without_its_secret(alice):
    response = alice.post("/tokens", {"name": "ci", "scopes": ["read"], "rateLimit": "5/1h"})
    made = response.json()["token"]
    found = alice.get(response["Location"].removeprefix(V1))
    assert found.json()["token"] == {name: value for name, value in made.items() if name != "secret"}
    assert made["secret"][len(PREFIX) :] not in found.content.decode()
    assert ApiToken.objects.get(pk=made["id"]).digest not in found.content.decode()
    alice.delete(f"/tokens/{made['id']}")
    assert alice.get(f"/tokens/{made['id']}").json()["token"]["revokedAt"] is not None


def test_only_an_admin_of_the_same_organization_sees_a_token(alice, bob, charlie):
    made = alice.post("/tokens", {"name": "ci", "scopes": ["read"]}).json()["token"]
    refused, foreign = bob.get(f"/tokens/{made['id']}"), charlie.get(f"/tokens/{made['id']}")
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    assert (foreign.status_code, foreign.json()["code"]) == (404, "not_found")


def test_a_revoked_token_is_refused_and_still_listed(alice):
    made = alice.post("/tokens", {"name": "ci", "scopes": ["read"]}).json()["token"]
    assert alice.delete(f"/tokens/{made['id']}").status_code == 200
    assert status(alice.org, made["secret"]) == 401
    revoked = next(one for one in alice.get("/tokens").json()["tokens"] if one["id"] == made["id"])
    assert revoked["revokedAt"] is not None
    assert alice.delete(f"/tokens/{made['id']}").status_code == 200
    again = next(one for one in alice.get("/tokens").json()["tokens"] if one["id"] == made["id"])
    assert again["revokedAt"] == revoked["revokedAt"]


def test_a_token_can_revoke_itself_and_is_refused_at_once(alice):
    mine = alice.get("/tokens").json()["tokens"][0]["id"]
    assert alice.delete(f"/tokens/{mine}").status_code == 200
    assert alice.get("/agents").status_code == 401


def test_revoking_one_leaves_the_others(alice, bob):
    token = ApiToken.objects.filter(org=alice.org).order_by("id").last()
    assert alice.delete(f"/tokens/{token.pk}").status_code == 200
    assert (alice.get("/agents").status_code, bob.get("/agents").status_code) == (200, 401)


def test_an_expiry_in_the_future_is_kept_and_ends_the_token(alice):
    ends = now() + timedelta(hours=1)
    made = alice.post("/tokens", {"name": "ci", "scopes": ["read"], "expiresAt": iso(ends)}).json()["token"]
    assert made["expiresAt"] == iso(ends)
    assert status(alice.org, made["secret"]) == 200
    ApiToken.objects.filter(pk=made["id"]).update(expires_at=now() - timedelta(seconds=1))
    assert status(alice.org, made["secret"]) == 401


def test_an_expiry_is_told_in_utc(alice):
    body = {"name": "ci", "scopes": ["read"], "expiresAt": "2100-01-01T02:00:00+02:00"}
    assert alice.post("/tokens", body).json()["token"]["expiresAt"] == "2100-01-01T00:00:00.000Z"


def test_every_scope_can_be_given_and_doubles_count_once(alice):
    every = list(SCOPES)
    assert alice.post("/tokens", {"name": "x", "scopes": every}).json()["token"]["scopes"] == every
    doubled = alice.post("/tokens", {"name": "x", "scopes": ["read", "read"]})
    assert doubled.json()["token"]["scopes"] == ["read"]


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [(["read"], (200, 403, 403)), (["write"], (403, 201, 403)), (["admin"], (403, 403, 200)), (["agents"], (403,) * 3)],
)
def test_a_scope_allows_what_it_says_and_nothing_else(alice, scopes, allowed):
    secret = alice.post("/tokens", {"name": "x", "scopes": scopes}).json()["token"]["secret"]
    headers = {"Authorization": f"Bearer {secret}", "X-Org-ID": alice.org.pk}
    post = Client().post(f"{V1}/sessions", {"agentType": "custom"}, content_type="application/json", headers=headers)
    found = (status(alice.org, secret), post.status_code, status(alice.org, secret, "/tokens"))
    assert found == allowed


def test_the_last_use_is_told_at_most_once_a_minute(alice):
    alice.get("/agents")
    token = ApiToken.objects.get(org=alice.org)
    assert now() - token.last_used_at < timedelta(seconds=10)
    recent, old = now() - timedelta(seconds=30), now() - timedelta(seconds=90)
    for moment, changes in ((recent, False), (old, True)):
        ApiToken.objects.update(last_used_at=moment)
        alice.get("/agents")
        token.refresh_from_db()
        assert (token.last_used_at != moment) is changes


def test_a_refused_request_is_no_use(alice):
    token, secret = issue_token(org=alice.org, name="x", scopes=["read"])
    ApiToken.objects.filter(pk=token.pk).update(revoked_at=now())
    assert status(alice.org, secret) == 401
    token.refresh_from_db()
    assert token.last_used_at is None


def test_the_scheme_is_case_insensitive(alice):
    headers = {"Authorization": f"bearer {alice.token}", "X-Org-ID": alice.org.pk}
    assert alice.client.get(f"{V1}/agents", headers=headers).status_code == 200


def test_a_rotated_key_still_knows_its_tokens(alice, settings):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another-key-for-tests", [settings.SECRET_KEY]
    assert alice.get("/tokens").status_code == 200
    settings.SECRET_KEY_FALLBACKS = []
    assert alice.get("/tokens").status_code == 401


@pytest.mark.parametrize("secret", ["", "tm_", "tm_" + "x" * 5000, "é", "xx_abc"])
def test_what_cannot_be_a_secret_finds_nothing(secret, db):
    assert find_token(secret) is None


def test_two_tokens_never_share_a_secret(alice):
    made = {issue_token(org=alice.org, name="x", scopes=["read"])[1] for _ in range(20)}
    assert len(made) == 20


def test_a_strangers_tokens_are_neither_listed_nor_revoked(alice, charlie):
    theirs = charlie.get("/tokens").json()["tokens"][0]["id"]
    assert theirs not in {one["id"] for one in alice.get("/tokens").json()["tokens"]}
    assert alice.delete(f"/tokens/{theirs}").status_code == 404
    assert charlie.get("/tokens").status_code == 200


def test_the_organization_is_shown(alice):
    assert alice.get("/org").json()["org"] == {
        "id": alice.org.pk,
        "slug": "wonderland",
        "name": "wonderland",
        "rateLimit": None,
        "tokenBudget": None,
        "maxRunning": None,
        "suspended": False,
        "createdAt": iso(alice.org.created_at),
    }


def test_the_organization_can_be_changed_field_by_field(alice):
    assert alice.patch("/org", {"name": " Wonder & Land ✨ "}).json()["org"]["name"] == " Wonder & Land ✨ "
    changed = alice.patch("/org", {"rateLimit": "5/1h"}).json()["org"]
    assert (changed["name"], changed["rateLimit"]) == (" Wonder & Land ✨ ", "5/1h")
    assert alice.patch("/org", {}).json()["org"] == changed


@pytest.mark.parametrize("field", ["id", "slug", "suspended", "suspendedAt", "createdAt"])
def test_the_rest_of_the_organization_cannot_be_changed(alice, field):
    before = alice.get("/org").json()["org"]
    assert alice.patch("/org", {field: "changed"}).status_code == 200
    assert alice.get("/org").json()["org"] == before


def test_a_change_of_one_organization_is_none_of_another(alice, charlie):
    before = Organization.objects.get(pk=charlie.org.pk).public()
    alice.patch("/org", {"name": "changed", "rateLimit": "5/1h"})
    assert Organization.objects.get(pk=charlie.org.pk).public() == before


def test_a_suspended_organization_is_refused_until_it_is_restored(alice, charlie):
    suspend(alice.org)
    refused = alice.get("/agents")
    assert (refused.status_code, refused.json()["code"]) == (403, "organization_suspended")
    assert charlie.get("/agents").status_code == 200
    restore(alice.org)
    assert alice.get("/agents").status_code == 200


def test_every_new_organization_has_one_agent_of_each_type(alice):
    agents = alice.get("/agents").json()["agents"]
    assert sorted(agent["type"] for agent in agents) == ["claude", "codegen", "custom"]


def test_the_usage_is_counted(alice):
    document = alice.get("/org/usage").json()
    assert isinstance(document["usage"], dict)
    assert document["usage"]
