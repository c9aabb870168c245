"""A browser's own WebSocket, from pages of origins that are allowed and of one that is not."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.live import Live, installation

from .chromium import CHROMIUM, Page, browsing, page_server

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt-get install chromium")

# Opens a socket, says what is to be said once it is open, and keeps what comes.
OPEN = """
new Promise((done) => {
  const seen = (window.seen = { frames: [], protocol: null, opened: false, code: null, clean: null });
  const socket = (window.socket = new WebSocket(ADDRESS, PROTOCOLS));
  socket.onmessage = (event) => seen.frames.push(JSON.parse(event.data));
  socket.onopen = () => {
    seen.opened = true;
    seen.protocol = socket.protocol;
    FRAMES.forEach((frame) => socket.send(JSON.stringify(frame)));
  };
  socket.onclose = (event) => { seen.code = event.code; seen.clean = event.wasClean; };
  const look = setInterval(() => {
    if (seen.code !== null || seen.frames.length >= COUNT) { clearInterval(look); done(seen); }
  }, 20);
})
"""


@dataclass
class Browser:
    """A page, and the installation that it talks to."""

    live: Live
    page: Page
    allowed: str
    foreign: str

    def open(
        self, origin: str, *protocols: str, frames: list[Any], count: int = 1, session: str = ""
    ) -> dict[str, Any]:
        """What a socket of a page of that origin has seen once it was closed or told so many frames."""
        self.page.open(origin)
        address = f"{self.live.root.replace('http', 'ws', 1)}/ws?sessionId={session}"
        script = OPEN
        for name, value in (("ADDRESS", address), ("PROTOCOLS", protocols), ("FRAMES", frames), ("COUNT", count)):
            script = script.replace(name, json.dumps(value))
        return dict(self.page.run(script))

    def more(self, count: int) -> list[dict[str, Any]]:
        """All its frames, once there are so many."""
        look = "if (window.seen.frames.length >= COUNT) { clearInterval(look); done(window.seen.frames); }"
        script = f"new Promise((done) => {{ const look = setInterval(() => {{ {look} }}, 20); }})"
        return list(self.page.run(script.replace("COUNT", str(count))))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """With pages of two origins, of which one is allowed."""
    folder = tmp_path_factory.mktemp("browser")
    with (
        page_server() as allowed,
        page_server() as foreign,
        installation(folder, TASKMASTER_ALLOWED_ORIGINS=allowed) as live,
        browsing(tmp_path_factory.mktemp("chromium")) as page,
    ):
        yield Browser(live.start(), page, allowed, foreign)


def test_a_page_of_an_allowed_origin_hears_events(browser: Browser) -> None:
    live = browser.live
    subscribe = {"type": "subscribe", "events": ["session.created"], "ref": "s"}
    pair = ("taskmaster.v1", f"bearer.{live.token}")
    seen = browser.open(browser.allowed, *pair, frames=[{"type": "ping"}, subscribe], count=2)
    assert (seen["opened"], seen["protocol"], seen["code"]) == (True, "taskmaster.v1", None)
    assert [frame["type"] for frame in seen["frames"]] == ["pong", "subscribed"]
    assert seen["frames"][1]["ref"] == "s"
    with live.client() as client:
        body = {"agentType": "custom", "configuration": {}}
        session = client.post("/sessions", json=body).raise_for_status().json()["session"]["id"]
        event = browser.more(3)[2]
        (stored,) = client.get("/events", params={"after": event["sequence"] - 1, "limit": 1}).json()["events"]
    assert (event["eventType"], event["data"]["sessionId"]) == ("session.created", session)
    assert (event["id"], event["data"]) == (stored["id"], stored["data"])


def test_a_page_talks_in_a_session(browser: Browser) -> None:
    live = browser.live
    with live.client() as client:
        body = {"agentType": "custom", "agentId": live.echo_agent(), "configuration": {}}
        session = client.post("/sessions", json=body).raise_for_status().json()["session"]["id"]
    pair = ("taskmaster.v1", f"bearer.{live.token}")
    message = {"type": "message", "content": "Grüße 🎈"}
    seen = browser.open(browser.allowed, *pair, frames=[message], count=2, session=session)
    assert [frame["type"] for frame in seen["frames"]] == ["ack", "response"]
    assert seen["frames"][1]["response"]["content"] == "Grüße 🎈"


def test_a_page_sees_why_it_was_closed(browser: Browser) -> None:
    for session, token, code in (("", "tm_wrong", 4401), ("session_nothing", browser.live.token, 4404)):
        pair = ("taskmaster.v1", f"bearer.{token}")
        seen = browser.open(browser.allowed, *pair, frames=[], session=session)
        assert (seen["opened"], seen["code"], seen["clean"], seen["frames"]) == (True, code, True, [])


def test_a_page_without_credentials_says_who_it_is_by_a_frame(browser: Browser) -> None:
    auth = {"type": "auth", "token": browser.live.token, "orgId": browser.live.org}
    seen = browser.open(browser.allowed, frames=[{"type": "ping"}, auth], count=2)
    assert [frame["type"] for frame in seen["frames"]] == ["pong", "authenticated"]
    assert seen["protocol"] == ""


def test_a_page_of_a_foreign_origin_is_refused(browser: Browser) -> None:
    pair = ("taskmaster.v1", f"bearer.{browser.live.token}")
    seen = browser.open(browser.foreign, *pair, frames=[{"type": "ping"}])
    assert (seen["opened"], seen["code"], seen["frames"]) == (False, 1006, [])
