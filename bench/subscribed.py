"""Servers with subscribers: the product and its two baselines, all asked in the same words to tell them something."""

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
EVERYTHING = orjson.dumps({"type": "subscribe", "events": ["task.*"]}).decode()


class Told:
    """A server, how to subscribe to it, and how to have it tell its subscribers something."""

    def __init__(self, load: LoadProcess, port: int, pid: int, tell: Tell, **subscribing: Any) -> None:
        self.port, self.pid = port, pid
        self._load, self._tell = load, tell
        self._subscribing = {"path": "/ws", "headers": {}, "first": "", "deaf": False} | subscribing

    def open(self, count: int, *, deaf: bool = False) -> None:
        """So many more subscribers; deaf ones do not read."""
        about = self._subscribing | {"port": self.port, "count": count, "deaf": deaf}
        opened = self._load.do("sockets-open", **about)
        assert not about["first"] or opened["answered"] == count, opened

    def close(self) -> None:
        """No more subscribers."""
        self._load.do("sockets-close")

    def burst(self, count: int, **how: Any) -> Json:
        """Have all told so much as fast as it goes: deliveries a second, and what was lost."""
        self._load.do("sockets-expect", each=count * how.get("joined", 1), marked=False)
        told = self._tell({"count": count} | how)
        came = self._load.do("sockets-arrived")
        took = came["last"] - told["begun"]
        return {"perSecond": came["count"] / took, "lost": came["lost"], "writtenIn": told["ended"] - told["begun"]}

    def steady(self, count: int, rate: float) -> Json:
        """Have all told so much a second: the spread of how long it took to them, and what was lost."""
        self._load.do("sockets-expect", each=count, marked=True)
        told = self._tell({"count": count, "rate": rate})
        lost = self._load.do("sockets-arrived")["lost"]
        return self._load.do("sockets-delays", sent=told["sent"]) | {"lost": lost}


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
        product = Product(live.start())
        with running(writer, live.env, folder / "writer.log") if SERVICES else nullcontext():
            until(lambda: os.path.exists(path))
            with Client(path, "AF_UNIX") as asked:

                def tell(job: Json) -> Json:
                    asked.send({"job": "steady"} | job if "rate" in job else {"job": "burst", "together": TOGETHER} | job)
                    return dict(asked.recv())

                headers = product.headers
                yield Told(load, product.port, product.web, lambda job: tell({"org": live.org} | job), headers=headers, first=EVERYTHING)


@contextmanager
def bare_broadcast(folder: Path, load: LoadProcess) -> Iterator[Told]:
    """A bare `websockets` broadcast."""
    port = free_port()
    command = [sys.executable, "-m", "bench.bare.broadcast", str(port)]
    with _talking(command, {}, folder / "broadcast.log", port) as (pid, tell):
        yield Told(load, port, pid, tell)


@contextmanager
def group_send(folder: Path, load: LoadProcess) -> Iterator[Told]:
    """Plain Channels behind stock Daphne."""
    port = free_port()
    env = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "bench.bare.settings"}
    env |= {"BARE_REDIS": f"{REDIS}/{BARE_REDIS}"} if SERVICES else {}
    with _talking(stock_daphne(port, "bench.bare.live:application"), env, folder / "live.log", port) as (pid, tell):
        yield Told(load, port, pid, tell)


@contextmanager
def _talking(command: list[str], env: dict[str, str], log: Path, port: int) -> Iterator[tuple[int, Tell]]:
    with running(command, env, log) as process:
        until(lambda: listens(port))
        with connect(f"ws://127.0.0.1:{port}/go", compression=None, ping_interval=None, max_size=None) as go:

            def tell(job: Json) -> Json:
                go.send(orjson.dumps(job).decode())
                return dict(orjson.loads(go.recv()))

            yield process.pid, tell
