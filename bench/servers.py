"""The servers that are measured, and what can be seen of their processes."""

import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx
import orjson
import psycopg

from tests.live import ROOT, SERVICES, WORKER, Live, free_port, installation, until

from .http import request

PROFILE = "services" if SERVICES else "embedded"
REDIS = os.environ.get("REDIS_URL", "").rsplit("/", 1)[0]
PRODUCT_REDIS, BARE_REDIS = 7, 6  # databases of their own, that tests at the same time are not disturbed


class Product:
    """The product, and requests to it as its client sends them."""

    def __init__(self, live: Live) -> None:
        self.live, self.port = live, int(live.env["PORT"])
        self.headers = {"Authorization": f"Bearer {live.token}", "X-Org-ID": live.org}
        self._client = live.client()

    @property
    def web(self) -> int:
        """The process id of the web server, which is everything when embedded."""
        return self.live.processes["web0"].pid

    def raw(self, method: str, path: str, body: Any = None) -> bytes:
        """A whole request, ready to be sent many times."""
        content = b"" if body is None else orjson.dumps(body)
        return request(method, f"/api/v1{path}", self.headers, content)

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """One request now; its answer must be a success."""
        return dict(self._client.request(method, path, json=body).raise_for_status().json())

    def session(self, agent: str, **configuration: Any) -> str:
        """A new session's id."""
        body = {"agentType": "custom", "agentId": agent, "configuration": configuration}
        return str(self.call("POST", "/sessions", body)["session"]["id"])


@contextmanager
def product(folder: Path) -> Iterator[Product]:
    """A fresh installation with one web process and one worker."""
    folder.mkdir(parents=True)
    env = {"REDIS_URL": f"{REDIS}/{PRODUCT_REDIS}", "TASKMASTER_DB_POOL": "20"} if SERVICES else {}
    with installation(folder, **env) as live:
        yield Product(live.start())


@dataclass(frozen=True, slots=True)
class Bare:
    """The bare project behind stock Daphne."""

    port: int
    pid: int

    def status(self) -> bytes:
        """The request with one token query."""
        return request("GET", "/agents/1/status", {"Authorization": "Bearer key"})

    def submit(self, body: Any) -> bytes:
        """The request with one insert."""
        return request("POST", "/agents/1/tasks", {}, orjson.dumps(body))


@contextmanager
def bare(folder: Path) -> Iterator[Bare]:
    """The bare project, with a scratch database of the same kind as the product's."""
    with scratch_database(folder) as url:
        env = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "bench.bare.settings", "BARE_DATABASE": url}
        _django(env, "migrate", "--run-syncdb", "-v", "0")
        _django(env, "shell", "-v", "0", "-c", "from bench.bare.models import *; Token.objects.create(key='key')")
        port = free_port()
        with running(stock_daphne(port, "bench.bare.asgi:application"), env, folder / "daphne.log") as process:
            until(lambda: _answers(port), 30)
            yield Bare(port, process.pid)


def stock_daphne(port: int, application: str) -> list[str]:
    """The stock `daphne` command, without its access log."""
    return [str(Path(sys.executable).parent / "daphne"), "-v", "0", "-p", str(port), application]


def _django(env: dict[str, str], *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "django", *arguments], cwd=ROOT, env=env, check=True, capture_output=True)


def _answers(port: int) -> bool:
    try:
        headers = {"Authorization": "Bearer key"}
        return httpx.get(f"http://127.0.0.1:{port}/agents/1/status", headers=headers).status_code == 200
    except httpx.TransportError:
        return False


def listens(port: int) -> bool:
    """Whether anybody listens there."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def scratch_database(folder: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if not SERVICES:
        yield f"sqlite:///{folder / 'bare.sqlite3'}"
        return
    server, name = os.environ["DATABASE_URL"].rsplit("/", 1)[0], f"bare_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    try:
        yield f"{server}/{name}"
    finally:
        with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
            admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@contextmanager
def running(
    command: list[str], env: dict[str, str], log: Path, *, talk: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """A process, ended afterwards; with `talk` its input and output are pipes."""
    pipe = subprocess.PIPE if talk else None
    with log.open("ab") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdin=pipe, stdout=pipe or out, stderr=out)
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        process.wait(10)


@contextmanager
def bare_celery(folder: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Bare Celery: its sender's input and output."""
    env = {"PATH": os.environ["PATH"], "BARE_QUEUE": f"bare-{uuid.uuid4().hex[:8]}"}
    env |= {"BARE_REDIS": f"{REDIS}/{BARE_REDIS}"} if SERVICES else {}
    flags = ["--pool", "threads", "--concurrency", "4", "--without-mingle", "--without-gossip", "--without-heartbeat"]
    worker = [*WORKER[:3], "-A", "bench.bare.noop", "worker", "-Q", env["BARE_QUEUE"], *flags]
    with running(worker, env, folder / "celery.log") if SERVICES else nullcontext():
        sender = [sys.executable, "-m", "bench.bare.noop"]
        with running(sender, env, folder / "sender.log", talk=True) as process:
            assert process.stdin
            assert process.stdout
            yield process.stdin, process.stdout


def rss(pid: int) -> int:
    """A process's resident memory in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise LookupError(pid)


def threads(pid: int) -> int:
    """How many threads a process has."""
    return len(os.listdir(f"/proc/{pid}/task"))


def settled(look: Any, seconds: float = 5) -> Any:
    """What `look` returns once it has stopped changing, or when the time is over."""
    deadline, last = time.monotonic() + seconds, look()
    while time.monotonic() < deadline:
        time.sleep(0.5)
        last, before = look(), last
        if last == before:
            break
    return last
