"""The product as it really runs: processes started as the README says, talked to over the network (loopback only)."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg

ROOT = Path(__file__).resolve().parent.parent
SERVICES = bool(os.environ.get("DATABASE_URL"))
WEB = [sys.executable, "manage.py", "serve"]
WORKER = [sys.executable, "-m", "celery", "-A", "taskmaster", "worker", "--pool", "threads", "--concurrency", "4"]
WORKER += ["-Q", "sweeps", "--without-mingle", "--without-gossip", "--without-heartbeat", "-n", "w{n}@%h"]
BEAT = [
    sys.executable,
    "-m",
    "celery",
    "-A",
    "taskmaster",
    "beat",
    "-S",
    "celery.beat:Scheduler",
    "--max-interval",
    "2",
]


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def until(look: Callable[[], Any], seconds: float = 20, every: float = 0.05) -> Any:
    """The first truthy thing `look` returns; AssertionError if none comes in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {found!r}"
        time.sleep(every)


class Live:
    """A running installation: one process embedded; otherwise `webs` web processes, `workers` workers and beat."""

    def __init__(self, env: dict[str, str], logs: Path, *, webs: int, workers: int) -> None:
        self.env, self.logs, self.webs, self.workers = env, logs, webs, workers
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.root = f"http://127.0.0.1:{env['PORT']}"
        self.base = f"{self.root}/api/v1"
        self.org = self.token = ""

    def start(self) -> "Live":
        """Start everything that is not running, and wait until it is healthy."""
        said = self._manage("prepare") if SERVICES and not self.token else ""
        if SERVICES:
            self.spawn("beat", BEAT)
            for number in range(self.workers):
                self.start_worker(number)
        for number in range(self.webs if SERVICES else 1):
            self.spawn(f"web{number}", WEB)
        until(self._healthy, 60, 0.1)
        if not self.token:
            said = said or (self.logs / "web0.log").read_text()
            self.org, self.token = (re.search(rf"^{name}: (\S+)", said, re.M)[1] for name in ("Org ID", "Token"))  # type: ignore[index]
        return self

    def start_worker(self, number: int) -> None:
        """Start the worker of that number unless it runs."""
        self.spawn(f"worker{number}", [part.replace("{n}", str(number)) for part in WORKER])

    def spawn(self, name: str, command: list[str]) -> None:
        """Start one process unless it runs."""
        if name not in self.processes or self.processes[name].poll() is not None:
            log = (self.logs / f"{name}.log").open("ab")
            self.processes[name] = subprocess.Popen(
                command, cwd=ROOT, env=self.env, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """End one process and wait for it."""
        self.processes[name].send_signal(how)
        self.processes[name].wait(30)

    def kill_all(self, *names: str) -> None:
        """kill -9 everything, or all of these, at once."""
        some = [process for name, process in self.processes.items() if not names or name in names]
        for process in some:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        for process in some:
            process.wait(30)

    def names(self, kind: str) -> list[str]:
        """The processes of one kind: web, worker or beat; embedded, the one there is."""
        return [name for name in self.processes if name.startswith(kind)] or list(self.processes)

    def pid(self, name: str) -> int:
        """The id of a process."""
        return self.processes[name].pid

    def sql(self, query: str) -> list[Any]:
        """What the database says, asked past the product; a change is committed."""
        if SERVICES:
            with psycopg.connect(self.env["DATABASE_URL"]) as database:
                cursor = database.execute(query)  # type: ignore[arg-type]
                return cursor.fetchall() if cursor.description else []
        path = Path(self.env["TASKMASTER_DATA_DIR"]) / "taskmaster.sqlite3"
        with closing(sqlite3.connect(path, timeout=20)) as file, file:
            return file.execute(query).fetchall()

    def thaw_all(self) -> None:
        """Let whatever was stopped with SIGSTOP go on."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)

    def stop(self) -> dict[str, int]:
        """SIGTERM everything; the exit codes by name."""
        self.terminate()
        return self.codes()

    def terminate(self) -> None:
        """SIGTERM everything that runs."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)

    def codes(self) -> dict[str, int]:
        """Wait for everything to end; the exit codes by name."""
        return {name: process.wait(60) for name, process in self.processes.items()}

    def client(self, **options: Any) -> httpx.Client:
        """A client with the first token."""
        headers = {"Authorization": f"Bearer {self.token}", "X-Org-ID": self.org}
        return httpx.Client(base_url=self.base, headers=headers, timeout=60, **options)

    def guest(self, slug: str) -> httpx.Client:
        """A client with a new token of that organization, which is made if it is missing."""
        scopes = ("--scopes", "read,write,agents")
        made = json.loads(self._manage("issue_token", "--org", slug, "--name", "test", *scopes, "--json"))
        headers = {"Authorization": f"Bearer {made['token']}", "X-Org-ID": made["orgId"]}
        return httpx.Client(base_url=self.base, headers=headers, timeout=60)

    def agent(self, backend: str, **fields: Any) -> str:
        """A new agent's id."""
        body = {"name": f"{backend}-{uuid.uuid4().hex[:6]}", "type": "custom", "backend": backend} | fields
        with self.client() as client:
            return str(client.post("/agents", json=body).raise_for_status().json()["agent"]["id"])

    def echo_agent(self, limit: int = 8) -> str:
        """A new echo agent's id."""
        return self.agent("echo", maxConcurrentTasks=limit)

    def _manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, cwd=ROOT, env=self.env, check=True, capture_output=True, text=True).stdout

    def _healthy(self) -> bool:
        for name, process in self.processes.items():
            assert process.poll() is None, f"{name} ended: {(self.logs / f'{name}.log').read_text()[-2000:]}"
        try:
            if httpx.get(f"{self.base}/health", timeout=5).status_code != 200:
                return False
        except httpx.TransportError:
            return False
        return not SERVICES or self._known() >= {self.pid(name) for name in self.processes if name != "beat"}

    def _known(self) -> set[int]:
        """The ids of the processes that have told the database of themselves: those that are up."""
        return {
            row[0] for row in self.sql("SELECT pid FROM agents_app_worker UNION SELECT pid FROM monitoring_webserver")
        }


@contextmanager
def installation(folder: Path, *, webs: int = 1, workers: int = 1, **env: str) -> Iterator[Live]:
    """A fresh installation in `folder`, on the profile that the environment says; everything is gone afterwards."""
    clean = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONUNBUFFERED": "1", "LANG": "C.UTF-8"}
    clean |= {"PORT": str(free_port()), "TASKMASTER_DATA_DIR": str(folder / "data"), "TASKMASTER_LOCAL_MODEL": "off"}
    clean |= {
        "TASKMASTER_RATE_LIMIT_AUTHENTICATED": "100000000/15m",
        "TASKMASTER_RATE_LIMIT_ANONYMOUS": "100000000/15m",
    }
    with _database() as services:
        live = Live(clean | services | env, folder, webs=webs, workers=workers)
        try:
            yield live
        finally:
            live.kill_all()


@contextmanager
def _database() -> Iterator[dict[str, str]]:
    """A database and a Redis database of its own on the services profile."""
    if not SERVICES:
        yield {}
        return
    server, name = os.environ["DATABASE_URL"].rsplit("/", 1)[0], f"live_{uuid.uuid4().hex[:12]}"
    number = _free_redis_database()
    redis = f"{os.environ['REDIS_URL'].rsplit('/', 1)[0]}/{number}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
    _redis_databases.add(number)
    try:
        # Several installations at once share the hundred connections that a server allows unless it is told otherwise.
        few = {"TASKMASTER_DB_POOL": "10"}
        yield few | {"DATABASE_URL": f"{server}/{name}", "REDIS_URL": redis, "SECRET_KEY": "a-key-for-tests-only"}
    finally:
        _redis_databases.discard(number)
        with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
            admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')  # type: ignore[arg-type]


# Those that this test process's installations use.
_redis_databases: set[int] = set()


def _free_redis_database() -> int:
    """A number from 8 to 15 that no installation of this test process uses, nor one of the process beside it."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw") or 0)
    ours = [8 + (worker + step) % 8 for step in (0, 4, 2, 6)]
    return next(number for number in ours if number not in _redis_databases)
