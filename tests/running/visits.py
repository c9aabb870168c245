"""A web server that `http` steps ask, and that remembers who came."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Visited:
    """The server: every path says how often it has been asked, and what was sent with it."""

    def __init__(self) -> None:
        self.visits: dict[str, list[Any]] = {}
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.visited = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def note(self, path: str, sent: Any) -> int:
        """Somebody came; for the how manieth time."""
        with self._lock:
            self.visits.setdefault(path, []).append(sent)
            return len(self.visits[path])


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    visited: Visited

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hangs up is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_: Any) -> None:
        """Silent."""

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, sent: Any) -> None:
        text = json.dumps({"path": self.path, "visit": self.server.visited.note(self.path, sent)}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@contextmanager
def visited() -> Iterator[Visited]:
    """A server that answers while the block runs."""
    found = Visited()
    thread = threading.Thread(target=found._server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found._server.shutdown()
        found._server.server_close()
        thread.join()
