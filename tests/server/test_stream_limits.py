"""How many streams there may be, and that each ends with its token."""

import asyncio
import json
from datetime import timedelta

import pytest

from taskmaster.api.envelope import reply
from taskmaster.api.following import FollowReply
from taskmaster.core.clock import now
from taskmaster.orgs.models import ApiToken, Organization
from taskmaster.orgs.organizations import restore, suspend
from taskmaster.orgs.tokens import issue_token, revoke_token
from taskmaster.server import stream_limits
from taskmaster.server.edge import Edge
from taskmaster.server.stream_limits import Streams, lapsed, while_valid
from taskmaster.server.streaming import _headers

from .listening import follow


@pytest.fixture
def tokens(db):
    """The keys of four tokens of one organization, and of one of another."""
    one, other = (Organization.objects.create(slug=slug) for slug in ("one", "other"))
    made = [issue_token(org=org, name="t", scopes=["read"])[0] for org in (one, one, one, one, other)]
    return [f"token:{token.pk}" for token in made]


def token(key):
    return ApiToken.objects.get(pk=key.removeprefix("token:"))


def test_a_token_lapses_when_it_is_revoked_expired_or_gone(tokens):
    assert lapsed(tokens) == set()
    revoke_token(token(tokens[0]))
    ApiToken.objects.filter(pk=token(tokens[1]).pk).update(expires_at=now() - timedelta(seconds=1))
    ApiToken.objects.filter(pk=token(tokens[2]).pk).update(expires_at=now() + timedelta(minutes=1))
    assert lapsed(tokens) == set(tokens[:2])
    token(tokens[3]).delete()
    assert lapsed(tokens) == {tokens[0], tokens[1], tokens[3]}
    assert lapsed(tokens[2:3]) == set()


def test_all_tokens_of_a_suspended_organization_lapse(tokens):
    org = token(tokens[0]).org
    suspend(org)
    assert lapsed(tokens) == set(tokens[:4])
    restore(org)
    assert lapsed(tokens) == set()


def test_one_query_looks_after_all(tokens, django_assert_num_queries):
    with django_assert_num_queries(1):
        lapsed(tokens)
    wait = while_valid(follow())
    assert (wait.key, wait.ended) == ("token:tok_1", lapsed)


def test_there_is_an_end_to_the_streams_of_a_process_and_of_an_organization(monkeypatch):
    monkeypatch.setattr(stream_limits, "MOST", 3)
    monkeypatch.setattr(stream_limits, "MOST_OF_ORG", 2)
    streams = Streams()
    with streams.entered("a"):
        with streams.entered("a"):
            refused = streams.refuse("a")
            assert (refused.status, refused.code, refused.retry_after) == (429, "rate_limited", 5)
            assert streams.refuse("b") is None
            with streams.entered("b"):
                assert (streams.refuse("b").status, streams.refuse("b").code) == (503, "overloaded")
        assert streams.refuse("a") is None
    assert streams._of == {}


def sent_by(edge, **headers):
    """What the edge sends where it is to follow something."""
    sent = []

    async def send(message):
        sent.append(message)

    reply = FollowReply(follow())
    for name, value in headers.items():
        reply[name.replace("_", "-")] = value
    asyncio.run(edge._follow(reply, send, {}, head=False))
    return sent


def test_one_too_many_is_refused_in_the_envelope(monkeypatch):
    monkeypatch.setattr(stream_limits, "MOST", 0)
    start, body = sent_by(Edge(1), X_Request_ID="req_1", X_RateLimit_Limit="7")
    headers = dict(start["headers"])
    assert (start["status"], headers[b"retry-after"]) == (503, b"5")
    assert (headers[b"x-request-id"], headers[b"x-ratelimit-limit"]) == (b"req_1", b"7")
    assert headers[b"content-type"] == b"application/json"
    document = json.loads(body["body"])
    assert (document["success"], document["code"], document["requestId"]) == (False, "overloaded", "req_1")


def test_a_messages_stream_has_the_headers_of_its_reply():
    """A page of another origin may read it only with those."""
    interim = reply({"messageId": "m"}, 202, location="/api/v1/here")
    interim["Access-Control-Allow-Origin"] = "https://app.example.com"
    assert _headers(interim) == [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-cache"),
        (b"x-accel-buffering", b"no"),
        (b"location", b"/api/v1/here"),
        (b"access-control-allow-origin", b"https://app.example.com"),
    ]
