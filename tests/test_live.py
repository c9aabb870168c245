"""The product as it really runs."""

import pytest

from .live import installation


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    with installation(tmp_path_factory.mktemp("live")) as live:
        yield live.start()


def test_a_message_is_answered(live):
    agent = live.echo_agent()
    with live.client() as client:
        session = client.post("/sessions", json={"agentType": "custom", "agentId": agent}).json()["session"]
        answer = client.post(f"/sessions/{session['id']}/messages", json={"content": "hello"})
    assert answer.status_code == 200
    assert answer.json()["response"]["content"] == "hello"
