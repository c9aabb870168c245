"""Servers with subscribers: the product and its baselines, all asked in the same words to tell them something."""

import os
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

import orjson
from websockets.sync.client import connect

from tests.live import SERVICES, Live, free_port, installation, until

from .load import LoadProcess
from .servers import BARE_REDIS, PRODUCT_REDIS, REDIS, Product, listens, running, stock_daphne

Json = dict[str, Any]
Tell = Callable[[Json], Json]

NOTHING = "Nothing arrived. (Has somebody cleared the Redis database meanwhile?)"
TOGETHER = 50  # events of a transaction


class Told:
    """A server, how to subscribe to it, and how to have it tell its subscribers something."""

    def __init__(self, load: LoadProcess, port: int, pid: int, tell: Tell | None = None, **subscribing: Any) -> None:
        self.pid = pid
        self._load, self._tell = load, tell
        self._subscribing: Json = {"port": port, "path": "/ws", "headers": {}, "events": []} | subscribing

    def heard_by(self, load: LoadProcess) -> "Told":
        """The same server, with other subscribers."""
        return Told(load, pid=self.pid, tell=self._tell, **self._subscribing)

    def open(self, count: int, *, deaf: bool = False) -> None:
        """So many more subscribers; deaf ones want everything there is, and do not read."""
        about = dict(self._subscribing)
        events = ["*"] if deaf else about.pop("events")
        first = orjson.dumps({"type": "subscribe", "events": events}).decode() if events else ""
        opened = self._load.do("sockets-open", **about, count=count, deaf=deaf, first=first)
        assert not first or opened["answered"] == count, opened

    def close(self) -> None:
        """No more subscribers."""
        self._load.do("sockets-close")

    def burst(self, count: int, **how: Any) -> Json:
        """Have all told so much as fast as it goes: deliveries a second, and how many were lost."""
        assert self._tell
        self._load.do("sockets-expect", each=count, marked=False)
        told = self._tell({"count": count} | how)
        came = self._load.do("sockets-arrived")
        assert came["count"], NOTHING
        took = came["last"] - told["begun"]
        return {"perSecond": came["count"] / took, "lost": came["lost"], "writtenIn": told["ended"] - told["begun"]}

    def steady(self, count: int, rate: float) -> Json:
        """Have all told so much a second: the spread of how long it took to them, and how many were lost."""
        assert self._tell
        self._load.do("sockets-expect", each=count, marked=True)
        told = self._tell({"count": count, "rate": rate})
        came = self._load.do("sockets-arrived")
        assert came["count"], NOTHING
        return self._load.do("sockets-delays", sent=told["sent"]) | {"lost": came["lost"]}

    def tell_the_deaf(self, count: int) -> None:
        """Have so much told that only they want to hear."""
        assert self._tell
        self._tell({"count": count, "kind": "session.expired"})

    def hear(self, count: int) -> Json:
        """The deaf ones read after all: how much of so many they have missed."""
        return self._load.do("sockets-hear", each=count)


@contextmanager
def subscribed_product(folder: Path, load: LoadProcess) -> Iterator[Told]:
    """A fresh installation, with somebody who writes events in it."""
    folder.mkdir(parents=True)
    services = {"REDIS_URL": f"{REDIS}/{PRODUCT_REDIS}"} if SERVICES else {}
    with installation(folder, **services) as live, _writer(live, folder) as asked:
        ours = Product(live)
        subscribing = {"path": f"/ws?sessionId={ours.session(live.echo_agent())}", "events": ["task.*"]}
        yield Told(load, ours.port, ours.web, _writing(asked, live.org), headers=ours.headers, **subscribing)


@contextmanager
def _writer(live: Live, folder: Path) -> Iterator[Any]:
    """Start the installation, and whoever writes events: in its one process, or in one of its own."""
    path = str(folder / "writer")
    command = [sys.executable, "-m", "bench.writer", path]
    if not SERVICES:
        live.spawn("web0", [*command, "serve"])
    live.start()
    env = live.env | {"TASKMASTER_DB_POOL": "4"}
    with ExitStack() as stack:
        if SERVICES:
            stack.enter_context(running(command, env, folder / "writer.log"))
        yield stack.enter_context(until(lambda: _reached(path)))


def _reached(path: str) -> Any:
    try:
        return Client(path, "AF_UNIX")
    except (FileNotFoundError, ConnectionRefusedError):
        return None


def _writing(asked: Any, org: str) -> Tell:
    def tell(job: Json) -> Json:
        kind = {"job": "steady"} if "rate" in job else {"job": "burst", "together": TOGETHER}
        asked.send({"org": org} | kind | job)
        return dict(asked.recv())

    return tell


@contextmanager
def bare_broadcast(folder: Path, load: LoadProcess) -> Iterator[Told]:
    """A bare `websockets` broadcast."""
    port = free_port()
    command = [sys.executable, "-m", "bench.bare.broadcast", str(port)]
    with running(command, {}, folder / "broadcast.log") as process, _talking(port) as tell:
        yield Told(load, port, process.pid, tell)


@contextmanager
def group_send(folder: Path, load: LoadProcess) -> Iterator[Told]:
    """Plain Channels behind stock Daphne."""
    port = free_port()
    env = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "bench.bare.settings"}
    prefix = f"bare-{uuid.uuid4().hex[:8]}"  # a group keeps the members of killed servers for a day
    env |= {"BARE_REDIS": f"{REDIS}/{BARE_REDIS}", "BARE_PREFIX": prefix} if SERVICES else {}
    daphne = stock_daphne(port, "bench.bare.live:application")
    with running(daphne, env, folder / "live.log") as process, _talking(port) as tell:
        yield Told(load, port, process.pid, tell)


@contextmanager
def bare_idle(folder: Path, load: LoadProcess) -> Iterator[Told]:
    """An application that only accepts, behind stock Daphne."""
    port = free_port()
    daphne = stock_daphne(port, "bench.bare.idle:application")
    with running(daphne, {"PATH": os.environ["PATH"]}, folder / "idle.log") as process:
        until(lambda: listens(port))
        yield Told(load, port, process.pid)


@contextmanager
def _talking(port: int) -> Iterator[Tell]:
    until(lambda: listens(port))
    with connect(f"ws://127.0.0.1:{port}/go", compression=None, ping_interval=None, max_size=None) as go:

        def tell(job: Json) -> Json:
            go.send(orjson.dumps(job).decode())
            return dict(orjson.loads(go.recv()))

        yield tell
