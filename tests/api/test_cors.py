"""Browsers of other origins: only those that the setting names."""

import pytest
from django.test import Client

from tests.conftest import V1

FRIEND, FOE = "https://app.example.com", "https://evil.example.com"


@pytest.fixture(autouse=True)
def _friends(settings):
    settings.CORS_ALLOWED_ORIGINS = [FRIEND]


def preflight(origin):
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-org-id"}
    return Client().options(f"{V1}/sessions", headers=asked)


def test_a_preflight_from_a_named_origin_needs_no_token(db):
    response = preflight(FRIEND)
    assert response.status_code == 200
    assert response["Access-Control-Allow-Origin"] == FRIEND
    assert "x-org-id" in response["Access-Control-Allow-Headers"]


def test_a_preflight_from_another_origin_allows_nothing(db):
    assert "Access-Control-Allow-Origin" not in preflight(FOE)


@pytest.mark.parametrize(("origin", "allowed"), [(FRIEND, FRIEND), (FOE, None)])
def test_answers_are_readable_for_named_origins_only(alice, origin, allowed):
    response = alice.get("/agents", origin=origin)
    assert response.status_code == 200
    assert response.get("Access-Control-Allow-Origin") == allowed


def test_a_refusal_is_readable_too(db):
    response = Client().get(f"{V1}/agents", headers={"Origin": FRIEND})
    assert response.status_code == 401
    assert response["Access-Control-Allow-Origin"] == FRIEND


def test_clients_without_an_origin_are_served(alice):
    assert alice.get("/agents").status_code == 200
