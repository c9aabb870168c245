"""What only a running installation shows: the edge's own refusals, and answers that are waited for."""

import http.client
import json
import uuid

import pytest

from tests.live import installation


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """An installation of its own."""
    with installation(tmp_path_factory.mktemp("live")) as running:
        yield running.start()


@pytest.fixture(scope="module")
def messages(live):
    """The path of a session's messages, answered by an echo agent."""
    agent = live.echo_agent()
    with live.client() as client:
        session = client.post("/sessions", json={"agentType": "custom", "agentId": agent}).json()["session"]
    return f"/sessions/{session['id']}/messages"


def raw(live, method, path, body=b"", **headers):
    """A request as it stands, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", int(live.env["PORT"]), timeout=20)
    named = {"Authorization": f"Bearer {live.token}", "X-Org-ID": live.org, "Content-Type": "application/json"}
    connection.request(method, f"/api/v1{path}", body, named | headers)
    response = connection.getresponse()
    document = json.loads(response.read())
    connection.close()
    return response, document


def test_a_body_over_a_megabyte_is_a_413(live, messages):
    body = json.dumps({"content": "x", "metadata": {"x": "y" * 1024 * 1024}}).encode()
    response, document = raw(live, "POST", messages, body)
    assert (response.status, document["success"], document["code"]) == (413, False, "body_too_large")
    assert document["data"] is None
    assert response.headers["X-Request-ID"] == document["requestId"]
    with live.client() as client:
        assert client.get(messages).json()["pagination"]["total"] == 0


def test_a_body_of_almost_a_megabyte_is_taken(live, messages):
    body = json.dumps({"content": "large", "metadata": {"x": "y" * (1024 * 1024 - 100)}}).encode()
    assert len(body) <= 1024 * 1024
    response, document = raw(live, "POST", messages, body)
    assert (response.status, document["response"]["content"]) == (200, "large")


def test_a_message_under_a_key_is_answered_once_and_replayed(live, messages):
    key = {"Idempotency-Key": uuid.uuid4().hex}
    with live.client() as client:
        before = client.get(messages).json()["pagination"]["total"]
        answers = [client.post(messages, json={"content": "once"}, headers=key) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200] * 3
        assert [answer.headers.get("Idempotent-Replayed") for answer in answers] == [None, "true", "true"]
        assert {answer.json()["messageId"] for answer in answers} == {answers[0].json()["messageId"]}
        assert [answer.json()["response"]["content"] for answer in answers] == ["once"] * 3
        assert client.get(messages).json()["pagination"]["total"] == before + 1


def test_strange_bytes_in_a_path_are_a_404(live):
    for path in ("/sessions/%00", "/sessions/%FF%FE", "/tasks/" + "x" * 5000, "/agents/%E2%98%83", "/sessions/x/"):
        response, document = raw(live, "GET", path)
        assert (response.status, document["code"]) == (404, "not_found"), path


def test_nesting_ten_thousand_deep_is_a_400(live, messages):
    response, document = raw(live, "POST", messages, b'{"content":' + b"[" * 10_000 + b"]" * 10_000 + b"}")
    assert (response.status, document["code"]) == (400, "bad_request")


def test_events_are_numbered_without_gaps(live):
    with live.client() as client:
        events = client.get("/events?limit=100").json()["events"]
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert len(events) > 5
