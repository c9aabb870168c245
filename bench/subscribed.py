"""Servers with subscribers: the product and its baselines, all asked in the same words to tell them something."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

import orjson
from websockets.sync.client import connect

from tests.live import SERVICES, free_port, installation, until

from .load import LoadProcess
from .servers import BARE_REDIS, PRODUCT_REDIS, REDIS, Product, listens, running, stock_daphne

Json = dict[str, Any]
Tell = Callable[[Json], Json]

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
        took = came["last"] - told["begun"]
        return {"perSecond": came["count"] / took, "lost": came["lost"], "writtenIn": told["ended"] - told["begun"]}

    def steady(self, count: int, rate: float) -> Json:
        """Have all told so much a second: the spread of how long it took to them, and how many were lost."""
        assert self._tell
        self._load.do("sockets-expect", each=count, marked=True)
        told = self._tell({"count": count, "rate": rate})
        lost = self._load.do("sockets-arrived")["lost"]
        return self._load.do("sockets-delays", sent=told["sent"]) | {"lost": lost}

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
    env = {"REDIS_URL": f"{REDIS}/{PRODUCT_REDIS}"} if SERVICES else {}
    path = str(folder / "writer")
    writer = [sys.executable, "-m", "bench.writer", path]
    with installation(folder, **env) as live:
        if not SERVICES:
            live.spawn("web0", [*writer, "serve"])
        ours = Product(live.start())
        with running(writer, live.env, folder / "writer.log") if SERVICES else nullcontext():
            until(lambda: os.path.exists(path))
            with Client(path, "AF_UNIX") as asked:
                subscribing = {"path": f"/ws?sessionId={ours.session(live.echo_agent())}", "events": ["task.*"]}
                tell = _writing(asked, live.org)
                yield Told(load, ours.port, ours.web, tell, headers=ours.headers, **subscribing)


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
    env |= {"BARE_REDIS": f"{REDIS}/{BARE_REDIS}"} if SERVICES else {}
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
