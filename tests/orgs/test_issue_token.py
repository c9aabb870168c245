"""`manage.py issue_token`: repeatable, one line of JSON, and an error for whatever it cannot use."""

import io
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from agents_app.models import Agent
from taskmaster.core.clock import now
from taskmaster.orgs.models import ApiToken, Organization
from tests.api.racing import at_once

pytestmark = pytest.mark.django_db


def issue(*arguments):
    out = io.StringIO()
    call_command("issue_token", *arguments, stdout=out)
    return out.getvalue()


def issued(*arguments):
    return json.loads(issue(*arguments, "--json"))


def test_it_prints_one_line_of_json_with_a_token_that_works():
    line = issue("--org", "acme", "--name", "ci", "--json")
    assert line.count("\n") == 1
    document = json.loads(line)
    assert set(document) == {"orgId", "token"}
    headers = {"Authorization": f"Bearer {document['token']}", "X-Org-ID": document["orgId"]}
    assert Client().get("/api/v1/agents", headers=headers).status_code == 200


def test_it_makes_the_organization_with_its_agents():
    document = issued("--org", "acme", "--name", "ci")
    org = Organization.objects.get(slug="acme")
    assert (org.pk, org.name) == (document["orgId"], "acme")
    assert Agent.objects.filter(org=org).count() == 3


def test_it_may_be_repeated():
    one, other = (issued("--org", "acme", "--name", "ci") for _ in range(2))
    assert one["orgId"] == other["orgId"]
    assert one["token"] != other["token"]
    assert Organization.objects.count() == 1
    assert Agent.objects.count() == 3
    assert ApiToken.objects.count() == 2


def test_the_scopes_are_read_and_write_unless_others_are_given():
    issued("--org", "acme", "--name", "plain")
    issued("--org", "acme", "--name", "all", "--scopes", "admin, read,agents")
    scopes = dict(ApiToken.objects.values_list("name", "scopes"))
    assert scopes == {"plain": ["read", "write"], "all": ["read", "agents", "admin"]}


@pytest.mark.parametrize(
    ("given", "span"),
    [
        ("30d", timedelta(days=30)),
        ("12h", timedelta(hours=12)),
        ("5m", timedelta(minutes=5)),
        ("9s", timedelta(seconds=9)),
    ],
)
def test_it_can_expire(given, span):
    issued("--org", "acme", "--name", "ci", "--expires-in", given)
    left = ApiToken.objects.get().expires_at - now()
    assert span - timedelta(seconds=5) < left <= span


def test_without_an_expiry_it_lasts():
    issued("--org", "acme", "--name", "ci")
    assert ApiToken.objects.get().expires_at is None


def test_for_people_it_prints_words():
    text = issue("--org", "acme", "--name", "ci")
    assert "Organization: org_" in text
    assert "Token: tm_" in text
    assert "read, write" in text


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--org", "a b", "--name", "x"), "--org"),
        (("--org", "é", "--name", "x"), "--org"),
        (("--org", "", "--name", "x"), "--org"),
        (("--org", "x" * 65, "--name", "x"), "--org"),
        (("--org", "acme", "--name", "x", "--scopes", "root"), "--scopes"),
        (("--org", "acme", "--name", "x", "--scopes", ""), "--scopes"),
        (("--org", "acme", "--name", "x", "--expires-in", "soon"), "--expires-in"),
        (("--org", "acme", "--name", "x", "--expires-in", "-5d"), "--expires-in"),
        (("--org", "acme", "--name", "x", "--expires-in", "0d"), "--expires-in"),
        (("--org", "acme", "--name", "x", "--expires-in", ""), "--expires-in"),
        (("--org", "acme", "--name", "x", "--expires-in", "999999999d"), "--expires-in"),
        (("--org", "acme", "--name", ""), "--name"),
        (("--org", "acme", "--name", "x" * 201), "--name"),
        (("--name", "x"), "--org"),
        (("--org", "acme"), "--name"),
    ],
)
def test_what_it_cannot_use_is_an_error_that_names_it_and_makes_nothing(arguments, named):
    with pytest.raises(CommandError, match=named):
        issue(*arguments, "--json")
    assert (Organization.objects.count(), ApiToken.objects.count()) == (0, 0)


@pytest.mark.django_db(transaction=True)
def test_two_at_once_make_one_organization():
    answers = at_once(*[lambda: issued("--org", "acme", "--name", "ci")] * 3)
    assert len({answer["orgId"] for answer in answers}) == 1
    assert len({answer["token"] for answer in answers}) == 3
    assert Organization.objects.count() == 1
    assert Agent.objects.count() == 3
