"""The same protocol with Node's `ws`, the client that JavaScript programs use.

It is installed by `npm install --prefix ~/.cache/taskmaster-ws ws@8`.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.live import Live

from .cast import Cast
from .sockets import url

MODULES = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "taskmaster-ws/node_modules"
CLIENT = Path(__file__).with_name("socket_client.cjs")
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(
    NODE is None or not (MODULES / "ws").is_dir(), reason=f"there is no node, or no package ws in {MODULES}"
)


def node(live: Live, session: str | None = None, **plan: Any) -> dict[str, Any]:
    """What the client has seen."""
    whole = {"url": url(live, session), "protocols": [], "headers": {}, "frames": [], "count": 0, **plan}
    command = [str(NODE), str(CLIENT), json.dumps(whole)]
    said = subprocess.run(command, env={"NODE_PATH": str(MODULES)}, check=True, stdout=subprocess.PIPE, timeout=30)
    return dict(json.loads(said.stdout))


def test_it_talks_and_listens(cast: Cast) -> None:
    session = cast.session(cast.live.echo_agent())
    pair = ["taskmaster.v1", f"bearer.{cast.live.token}"]
    subscribe = {"type": "subscribe", "events": ["message.completed"], "filter": {"sessionId": session}}
    message = {"type": "message", "content": "hello", "ref": "m"}
    seen = node(cast.live, session, protocols=pair, frames=[{"type": "ping"}, subscribe, message], count=5)
    assert (seen["protocol"], seen["code"]) == ("taskmaster.v1", 4000)
    assert [frame["type"] for frame in seen["frames"][:3]] == ["pong", "subscribed", "ack"]
    by_type = {frame["type"]: frame for frame in seen["frames"]}
    assert by_type["response"]["response"] == by_type["event"]["data"]["response"]
    assert by_type["response"]["response"]["content"] == "hello"


def test_it_says_who_it_is_by_a_header_or_a_frame(cast: Cast) -> None:
    subscribe = {"type": "subscribe", "events": ["*"]}
    headers = {"Authorization": f"Bearer {cast.live.token}", "X-Org-ID": cast.live.org}
    seen = node(cast.live, headers=headers, frames=[subscribe], count=1)
    assert seen["frames"][0]["type"] == "subscribed"
    auth = {"type": "auth", "token": cast.live.token, "orgId": cast.live.org}
    seen = node(cast.live, frames=[subscribe, auth, subscribe], count=3)
    assert [frame.get("code", frame["type"]) for frame in seen["frames"]] == [
        "unauthenticated",
        "authenticated",
        "subscribed",
    ]


def test_it_sees_why_it_was_closed_or_refused(cast: Cast) -> None:
    pair = ["taskmaster.v1", "bearer.tm_wrong"]
    assert node(cast.live, protocols=pair)["code"] == 4401
    assert node(cast.live, origin="https://evil.example")["status"] == 403


def test_what_is_no_frame_is_answered_and_its_pings_are_too(cast: Cast) -> None:
    seen = node(cast.live, frames=["{", {"type": "ping"}], binary=True, count=3)
    assert [frame["type"] for frame in seen["frames"]] == ["error", "pong", "error"]
    assert (seen["pinged"], seen["code"]) == (True, 4000)
