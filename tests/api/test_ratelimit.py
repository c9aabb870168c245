"""Rate limits: who is counted under what, what every answer tells, and what is never counted."""

import time

import pytest
from django.test import Client, RequestFactory

from taskmaster.api.ratelimit import client_address, count_address
from taskmaster.orgs.models import ApiToken, Organization
from tests.conftest import V1, person

from .calls import assert_failure
from .racing import at_once
from .world import stored

pytestmark = pytest.mark.django_db
DAY = 86_400


def limits(response):
    return tuple(int(response[f"X-RateLimit-{name}"]) for name in ("Limit", "Remaining"))


def anonymous(**headers):
    return Client().get(f"{V1}/agents", headers=headers)


def from_address(address, **headers):
    return Client(REMOTE_ADDR=address).get(f"{V1}/agents", headers=headers)


def test_the_headers_count_down(alice, settings):
    settings.RATE_LIMIT_AUTHENTICATED = "3/1d"
    answers = [alice.get("/agents") for _ in range(3)]
    assert [limits(answer) for answer in answers] == [(3, 2), (3, 1), (3, 0)]
    resets = {int(answer["X-RateLimit-Reset"]) for answer in answers}
    assert max(resets) - min(resets) <= 1
    assert time.time() < min(resets) <= time.time() + DAY + 1


def test_past_the_limit_nothing_is_done(alice, settings):
    settings.RATE_LIMIT_AUTHENTICATED = "1/1d"
    alice.get("/agents")
    before = stored()
    response = alice.post("/agents", {"name": "x", "type": "custom", "backend": "echo"})
    assert_failure(response, 429, "rate_limited")
    assert limits(response) == (1, 0)
    retry_after = int(response["Retry-After"])
    assert 1 <= retry_after <= DAY
    assert abs(int(response["X-RateLimit-Reset"]) - time.time() - retry_after) <= 2
    assert stored() == before


def test_a_new_window_begins_anew(alice, settings):
    settings.RATE_LIMIT_AUTHENTICATED = "1/1s"
    deadline = time.monotonic() + 5
    while alice.get("/agents").status_code != 429:
        assert time.monotonic() < deadline
    time.sleep(1.1)
    assert alice.get("/agents").status_code == 200


def test_each_token_has_its_own_count(alice, settings):
    settings.RATE_LIMIT_AUTHENTICATED = "2/1d"
    colleague = person(alice.org)
    assert [limits(alice.get("/agents"))[1] for _ in range(2)] == [1, 0]
    assert limits(colleague.get("/agents")) == (2, 1)


def test_the_tokens_rate_goes_before_the_organizations_and_the_default(alice, settings):
    settings.RATE_LIMIT_AUTHENTICATED = "10/1d"
    assert limits(alice.get("/agents"))[0] == 10
    Organization.objects.filter(pk=alice.org.pk).update(rate_limit="20/1d")
    assert limits(alice.get("/agents"))[0] == 20
    ApiToken.objects.filter(org=alice.org).update(rate_limit="30/1d")
    assert limits(alice.get("/agents"))[0] == 30


def test_a_rate_can_be_set_over_rest(alice):
    assert alice.patch("/org", {"rateLimit": "7/1d"}).status_code == 200
    assert limits(alice.get("/agents"))[0] == 7
    made = alice.post("/tokens", {"name": "slow", "scopes": ["read"], "rateLimit": "4/1d"}).json()["token"]
    headers = {"Authorization": f"Bearer {made['secret']}", "X-Org-ID": alice.org.pk}
    assert limits(alice.client.get(f"{V1}/agents", headers=headers)) == (4, 3)
    assert alice.patch("/org", {"rateLimit": None}).json()["org"]["rateLimit"] is None
    assert limits(alice.get("/agents"))[0] == 1_000_000


def test_bad_tokens_are_counted_by_address(alice, settings):
    settings.RATE_LIMIT_ANONYMOUS = "2/1d"
    assert limits(anonymous()) == (2, 1)
    assert limits(anonymous(Authorization="Bearer tm_wrong")) == (2, 0)
    response = anonymous()
    assert_failure(response, 429, "rate_limited")
    assert "Retry-After" in response
    assert not response.has_header("WWW-Authenticate")
    assert from_address("203.0.113.9").status_code == 401


def test_bad_tokens_never_block_a_good_one(alice, settings):
    settings.RATE_LIMIT_ANONYMOUS = "1/1d"
    assert [anonymous().status_code for _ in range(3)] == [401, 429, 429]
    response = alice.get("/agents")
    assert response.status_code == 200
    assert limits(response)[0] == 1_000_000


def test_good_requests_do_not_use_up_the_address(alice, settings):
    settings.RATE_LIMIT_ANONYMOUS = "1/1d"
    for _ in range(3):
        assert alice.get("/agents").status_code == 200
    assert limits(anonymous()) == (1, 0)


def test_a_refused_organization_is_counted_on_the_token(alice, settings):
    settings.RATE_LIMIT_AUTHENTICATED = "2/1d"
    assert limits(alice.get("/agents", x_org_id="org_x")) == (2, 1)
    assert limits(alice.get("/agents")) == (2, 0)


def test_forwarded_for_counts_only_behind_a_configured_proxy(settings):
    settings.RATE_LIMIT_ANONYMOUS = "1/1d"
    spoofed = {"X-Forwarded-For": "198.51.100.1"}
    assert from_address("203.0.113.1", **spoofed).status_code == 401
    assert from_address("203.0.113.1", **{"X-Forwarded-For": "198.51.100.2"}).status_code == 429
    settings.TRUSTED_PROXIES = 1
    assert from_address("203.0.113.1", **spoofed).status_code == 401
    assert from_address("203.0.113.7", **spoofed).status_code == 429


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "198.51.100.1", "203.0.113.1"),
        (1, "198.51.100.1", "198.51.100.1"),
        (1, "192.0.2.66, 198.51.100.1", "198.51.100.1"),
        (2, "192.0.2.66, 198.51.100.1, 10.0.0.1", "198.51.100.1"),
        (2, "198.51.100.1", "203.0.113.1"),
        (1, "", "203.0.113.1"),
        (1, " , ", "203.0.113.1"),
    ],
)
def test_the_address_is_what_the_outermost_trusted_proxy_saw(settings, proxies, forwarded, expected):
    settings.TRUSTED_PROXIES = proxies
    request = RequestFactory().get("/", REMOTE_ADDR="203.0.113.1", headers={"X-Forwarded-For": forwarded})
    assert client_address(request) == expected


@pytest.mark.parametrize("path", ["/health", "/livez", "/readyz", "/metrics"])
@pytest.mark.parametrize("prefix", ["", V1])
def test_health_is_unlimited(settings, prefix, path):
    settings.RATE_LIMIT_ANONYMOUS = "1/1d"
    client = Client()
    for _ in range(3):
        response = client.get(prefix + path)
        assert response.status_code in (200, 503)
        assert not response.has_header("X-RateLimit-Limit")
        assert response["X-Request-ID"]
    assert limits(anonymous()) == (1, 0)


@pytest.mark.parametrize("path", ["/openapi.json", "/docs"])
def test_the_documents_at_the_root_are_counted_by_address(settings, path):
    settings.RATE_LIMIT_ANONYMOUS = "1/1d"
    client = Client()
    assert limits(client.get(path)) == (1, 0)
    assert_failure(client.get(path), 429, "rate_limited")


def test_an_unknown_path_is_counted(alice, settings):
    settings.RATE_LIMIT_AUTHENTICATED = "1/1d"
    assert_failure(alice.get("/nothing"), 404, "not_found")
    assert_failure(alice.get("/nothing"), 429, "rate_limited")


def test_many_at_once_are_counted_exactly(settings):
    settings.RATE_LIMIT_ANONYMOUS = "60/1d"
    request = RequestFactory().get("/", REMOTE_ADDR="203.0.113.77")
    calls = [lambda: [count_address(request) for _ in range(20)] for _ in range(6)]
    usages = [usage for some in at_once(*calls) for usage in some]
    assert sum(usage.exceeded for usage in usages) == 60
    assert sorted(usage.remaining for usage in usages if not usage.exceeded) == list(range(60))


class Broken:
    """A cache that is away."""

    def __init__(self, error):
        self.error = error

    def add(self, *args, **kwargs):
        raise self.error

    def incr(self, *args, **kwargs):
        raise self.error


class Forgetful:
    """A cache that loses what it was told, as one that is full does."""

    def add(self, *args, **kwargs):
        return False

    def incr(self, *args, **kwargs):
        raise ValueError("no such key")


@pytest.mark.parametrize(
    "cache",
    [Broken(ConnectionError()), Broken(TimeoutError()), Forgetful()],
    ids=["refuses", "hangs", "forgets"],
)
def test_a_cache_that_is_away_lets_everybody_in(alice, monkeypatch, settings, cache):
    settings.RATE_LIMIT_AUTHENTICATED = settings.RATE_LIMIT_ANONYMOUS = "1/1d"
    monkeypatch.setattr("django_ratelimit.core.caches", {"default": cache})
    for _ in range(3):
        response = alice.get("/agents")
        assert response.status_code == 200
        assert limits(response) == (1, 1)
        assert anonymous().status_code == 401


def test_lists_need_no_cache(alice, monkeypatch):
    monkeypatch.setattr("taskmaster.api.paging.cache", Broken(ConnectionError()))
    assert alice.get("/agents").status_code == 200
