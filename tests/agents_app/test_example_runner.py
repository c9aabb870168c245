"""The example of a runner goes on whatever happens to its tasks or its server."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.live import ROOT


def leased(name: str) -> tuple[int, dict[str, Any]]:
    return 200, {"task": {"id": name, "description": "one two"}, "leaseToken": f"of {name}"}


# What it asks, in order, and what it is answered.
PLAY: list[tuple[str, tuple[int, dict[str, Any]]]] = [
    ("/agents/a/lease", (503, {})),
    ("/agents/a/lease", leased("called-off")),
    ("/tasks/called-off/progress", (500, {})),
    ("/tasks/called-off/fail", (409, {})),
    ("/agents/a/lease", leased("lost")),
    ("/tasks/lost/progress", (200, {"cancelled": False})),
    ("/tasks/lost/complete", (502, {})),
    ("/agents/a/lease", (200, {"task": None, "leaseToken": None})),
    ("/agents/a/lease", leased("good")),
    ("/tasks/good/progress", (200, {"cancelled": False})),
    ("/tasks/good/complete", (200, {})),
    ("/agents/a/lease", (401, {})),
]


class Server(BaseHTTPRequestHandler):
    """Answers along the play."""

    asked: list[tuple[str, Any]]

    def do_POST(self) -> None:
        """The next answer."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, members = PLAY[len(self.asked)][1]
        self.asked.append((self.path, body))
        answer = json.dumps({"data": members}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Silent."""


def test_it_goes_on_until_it_is_refused() -> None:
    asked: list[tuple[str, Any]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Played", (Server,), {"asked": asked}))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    names = {"TM_URL": f"http://127.0.0.1:{server.server_port}", "TM_ORG": "o", "TM_TOKEN": "t", "TM_AGENT": "a"}
    try:
        command = [sys.executable, ROOT / "examples" / "runner.py"]
        ended = subprocess.run(command, check=False, env=names, capture_output=True, text=True, timeout=30)
    finally:
        server.shutdown()
        server.server_close()
    assert [path for path, _ in asked] == [path for path, _ in PLAY], ended.stderr
    assert asked[-2][1] == {"leaseToken": "of good", "result": {"content": "2 words", "words": 2}}
    assert "401" in ended.stderr
