"""A client of `GET /events/stream`, like a fetch-based one in a browser: it remembers the last id it has read."""

import json
import socket
import uuid
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

import httpx

from tests.live import Live

Heard = tuple[int, str, dict[str, Any]]


class Listener:
    """One that comes back, each time to where it was."""

    def __init__(self, live: Live, client: httpx.Client, **query: Any) -> None:
        self._port = int(live.env["PORT"])
        self._identity = {name: client.headers[name] for name in ("Authorization", "X-Org-ID")}
        self._path = f"/api/v1/events/stream?{urlencode(query)}"
        self.last_id: str | None = None
        self.connection: HTTPConnection | None = None
        self.response: Any = None

    def open(self, *, reads: int = 0) -> int:
        """Ask for the stream: the status. `reads` is how many bytes the kernel may take before they are read."""
        self.close()
        self.connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        if reads:
            self.connection.sock = socket.socket()
            self.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, reads)
            self.connection.sock.settimeout(30)
            self.connection.sock.connect(("127.0.0.1", self._port))
        last = {} if self.last_id is None else {"Last-Event-ID": self.last_id}
        self.connection.request("GET", self._path, headers=self._identity | last)
        self.response = self.connection.getresponse()
        return int(self.response.status)

    def begin(self) -> "Listener":
        """Open it and read its beginning."""
        assert self.open() == 200
        first = self.block()
        assert first is not None
        assert (first["retry"], self.last_id) == ("1000", first["id"])
        return self

    def block(self) -> dict[str, str] | None:
        """The next block, field by field, its comment under no name; None at the end of the stream."""
        found: dict[str, str] = {}
        while line := self.response.readline():
            text = line.decode().rstrip("\n")
            if not text:
                self.last_id = found.get("id", self.last_id)
                return found
            name, _, value = text.partition(": ")
            found[name] = value
        assert not found, "cut off in the middle of a block"
        return None

    def events(self) -> Iterator[Heard]:
        """Sequence, type and event, as they come, up to the end of the stream."""
        while (block := self.block()) is not None:
            if "data" in block:
                yield int(block.get("id", 0)), block["event"], json.loads(block["data"])

    def next(self, count: int) -> list[Heard]:
        """So many of them."""
        events = self.events()
        return [next(events) for _ in range(count)]

    def close(self) -> None:
        """Go away, whatever is still to be read."""
        if self.connection is not None:
            self.response.close()
            self.connection.close()
            self.connection = None


def write_many(live: Live, org: str, count: int, size: int) -> None:
    """Events of at least `size` bytes, written into the log past the product; the relay numbers them."""
    mark = f"evt_{uuid.uuid4().hex[:12]}_"
    data = f"""'{{"sessionId":"' || i || '","filler":"{"x" * size}"}}'"""
    live.sql(
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
        "INSERT INTO events_event (id, org_id, event_type, data, created_at) "
        f"SELECT '{mark}' || i, '{org}', 'session.expired', {data}, CURRENT_TIMESTAMP FROM n"
    )
