"""A client of the WebSocket, as a program would use it: it says who it is, asks, and hears what comes meanwhile."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.live import Live

Frame = dict[str, Any]


class Socket:
    """One connection. Frames that nobody has waited for yet are in `unread`."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.unread: list[Frame] = []
        self._refs = 0

    def send(self, kind: str, **members: Any) -> None:
        """Say something and wait for nothing."""
        self.connection.send(json.dumps({"type": kind, **members}))

    def ask(self, kind: str, **members: Any) -> Frame:
        """Say something: the first frame that answers it."""
        self._refs += 1
        self.send(kind, **members, ref=self._refs)
        answer = self.next(lambda frame: frame.get("ref") == self._refs)
        assert answer.pop("ref") == self._refs
        return answer

    def next(self, wanted: Callable[[Frame], Any] = lambda frame: True, seconds: float = 10) -> Frame:
        """The first frame that is wanted; what comes before it stays unread."""
        for position, frame in enumerate(self.unread):
            if wanted(frame):
                return self.unread.pop(position)
        deadline = time.monotonic() + seconds
        while True:
            frame = json.loads(self.connection.recv(timeout=max(0, deadline - time.monotonic())))
            if wanted(frame):
                return frame
            self.unread.append(frame)

    def of_type(self, kind: str, seconds: float = 10) -> Frame:
        """The next frame of this type."""
        return self.next(lambda frame: frame["type"] == kind, seconds)

    def events(self, count: int, seconds: float = 20) -> list[Frame]:
        """The next events."""
        return [self.of_type("event", seconds) for _ in range(count)]

    def subscribe(self, *events: str, **members: Any) -> Frame:
        """Hear of these from now on, or since a sequence."""
        answer = self.ask("subscribe", events=list(events), **members)
        assert answer["type"] == "subscribed", answer
        return answer

    def is_silent(self, seconds: float = 0.3) -> bool:
        """Whether nothing comes for a while, though the server answers."""
        time.sleep(seconds)
        assert self.ask("ping")["type"] == "pong"
        return self.unread == []

    def close_code(self, seconds: float = 10) -> int:
        """The code with which the server closes it; what comes before stays unread."""
        return self.ending(seconds)[0]

    def ending(self, seconds: float = 10) -> tuple[int, str]:
        """The same, and the reason that comes with it."""
        try:
            self.next(lambda frame: False, seconds)
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")
        raise AssertionError("it was not closed")

    def close(self) -> None:
        """Go away."""
        self.connection.close()


def url(live: Live, session: str | None = None) -> str:
    """Where the socket is."""
    query = "" if session is None else f"?sessionId={session}"
    return live.root.replace("http", "ws", 1) + f"/ws{query}"


@contextmanager
def socket(live: Live, session: str | None = None, token: str | None = None, **options: Any) -> Iterator[Socket]:
    """A socket of whoever has that token, by default the first one; nobody's where it is empty."""
    token = live.token if token is None else token
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    found = opened(live, session, additional_headers=headers | options.pop("headers", {}), **options)
    try:
        yield found
    finally:
        found.close()


def opened(live: Live, session: str | None = None, **options: Any) -> Socket:
    """A socket as the handshake says; its caller closes it."""
    # It may have more to read than it wants to when it goes away.
    options |= {"ping_interval": None, "max_size": None, "close_timeout": 0.2}
    return Socket(connect(url(live, session), **options).__enter__())


def refused(live: Live, path: str = "/ws", **options: Any) -> tuple[int, Any]:
    """The status and the body with which a handshake is refused."""
    try:
        with connect(live.root.replace("http", "ws", 1) + path, **options):
            pass
    except InvalidStatus as status:
        return status.response.status_code, json.loads(status.response.body)
    raise AssertionError("it was not refused")


def new_session(client: httpx.Client, agent: str | None = None) -> str:
    """Its id."""
    body = {"agentType": "custom", "configuration": {}} | ({"agentId": agent} if agent else {})
    return str(client.post("/sessions", json=body).raise_for_status().json()["session"]["id"])


def new_token(client: httpx.Client, *scopes: str) -> str:
    """Its secret."""
    answer = client.post("/tokens", json={"name": "test", "scopes": list(scopes)})
    return str(answer.raise_for_status().json()["token"]["secret"])


def contents(client: httpx.Client, session: str) -> list[str]:
    """What was said in a session."""
    answer = client.get(f"/sessions/{session}/messages").raise_for_status()
    return [message["content"] for message in answer.json()["messages"]]
