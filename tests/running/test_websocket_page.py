"""The clients in docs/websocket.md do what the page says, as they stand there."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tests.live import Live, until

from .cast import Cast
from .test_socket_node import MODULES, NODE

ADDRESS, TOKEN = "ws://localhost:3001/ws", "tm_…"
NEVER = "sessionId=session_…"


def written(language: str) -> list[str]:
    """The page's programs in that language."""
    page = (settings.ROOT / "docs/websocket.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.M | re.S)


@contextmanager
def running(command: list[str], program: str, into: Path, **env: str) -> Iterator[Path]:
    """The file that the program writes to while it runs, for the length of a block."""
    path, said = into / "program", into / "said"
    path.write_text(program)
    with said.open("wb") as out:
        process = subprocess.Popen([*command, str(path)], stdout=out, stderr=out, env={"PYTHONUTF8": "1", **env})
    try:
        yield said
    finally:
        process.kill()
        process.wait(10)


def of_ours(live: Live, program: str, session: str = "") -> str:
    """The program, for this server."""
    address = live.root.replace("http", "ws", 1) + "/ws"
    return program.replace(ADDRESS, address).replace(TOKEN, live.token).replace(NEVER, f"sessionId={session}")


def restart(live: Live) -> None:
    for name in live.names("web"):
        live.kill(name, signal.SIGTERM)
    live.start()


def work(cast: Cast, agent: str) -> str:
    """A task that is done."""
    task = cast.task(agent, "look at it")
    until(lambda: cast.task_now(task)["status"] == "completed")
    return task


def stored(cast: Cast, after: int) -> list[int]:
    """The sequences of what the clients of the page follow."""
    return [event["sequence"] for event in cast.all("/events", "events", after=after, types="task.*,workflow.*")]


def test_the_first_conversation(cast: Cast, tmp_path: Path) -> None:
    program = of_ours(cast.live, written("python")[0], cast.session(cast.live.echo_agent()))
    with running([sys.executable], program, tmp_path, TOKEN=cast.live.token) as said:
        until(lambda: "'type': 'response'" in said.read_text())
    kinds = re.findall(r"^\{'type': '(\w+)'", said.read_text(), re.M)
    assert kinds[0] == "subscribed"
    assert kinds[-1] == "response"
    assert {"ack", "event"} < set(kinds)


def test_the_python_client_misses_nothing_when_the_server_restarts(cast: Cast, tmp_path: Path) -> None:
    program, agent = written("python")[1], cast.live.echo_agent()

    def told() -> list[list[str]]:
        return [line.split(" ", 2) for line in said.read_text().splitlines()]

    with running([sys.executable], program, tmp_path, TM=cast.live.base, TOKEN=cast.live.token) as said:
        until(lambda: work(cast, agent) and told())
        restart(cast.live)
        last = work(cast, agent)
        until(lambda: any(kind == "task.completed" and last in data for _, kind, data in told()))
    sequences = [int(sequence) for sequence, _, _ in told()]
    assert sequences == stored(cast, sequences[0] - 1)


@pytest.mark.skipif(NODE is None or not (MODULES / "ws").is_dir(), reason="there is no node with the package ws")
def test_the_javascript_client_misses_nothing_when_the_server_restarts(cast: Cast, tmp_path: Path) -> None:
    (program,) = written("javascript")
    agent = cast.live.echo_agent()
    before = 'globalThis.WebSocket = require("ws");\n'  # as the page says for Node 20
    lines = 'console.log = (frame) => process.stdout.write(JSON.stringify(frame) + "\\n");\n'

    def told() -> list[dict[str, Any]]:
        return [json.loads(line) for line in said.read_text().rpartition("\n")[0].splitlines()]

    env = {"NODE_PATH": str(MODULES), "PATH": os.environ["PATH"]}
    with running([str(NODE)], before + lines + of_ours(cast.live, program), tmp_path, **env) as said:
        until(lambda: work(cast, agent) and told())
        restart(cast.live)
        last = work(cast, agent)
        until(lambda: any(f["eventType"] == "task.completed" and f["data"]["taskId"] == last for f in told()))
    sequences = [frame["sequence"] for frame in told()]
    assert sequences == stored(cast, sequences[0] - 1)
