"""Waiting is free: messages whose agent is slow hold no thread and no database connection, and little memory."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from bench.load import LoadProcess
from bench.result import Result
from bench.servers import Product, product, rss, settled, threads
from bench.sizes import Size
from tests.live import SERVICES, until

KB_EACH, P50_MS = 25, 10
# A pool that makes its last thread meanwhile is not a thread that a waiting message holds.
STRAY = 100
TIMEOUT_MS = 600_000
CONTENT = {"content": "Take your time."}


def measure(folder: Path, size: Size) -> Iterator[Result]:
    """Kilobytes each of the waiting costs the web process; the rest of the promise is in the details."""
    with product(folder / "product") as ours, LoadProcess() as crowd, LoadProcess() as other:
        agent = ours.live.echo_agent(100)
        status = [ours.raw("GET", f"/agents/{agent}/status")]
        sessions = [ours.session(agent, timeout=TIMEOUT_MS) for _ in range(size.waiting)]
        messages = [ours.raw("POST", f"/sessions/{pk}/messages", CONTENT) for pk in sessions]
        other.load(ours.port, messages, count=size.waiting)  # the server before: warm, with all its threads
        before = settled(lambda: _seen(ours))
        quiet = other.load(ours.port, status, connections=1, count=200)
        ours.call("POST", f"/agents/{agent}/pause")
        crowd.do("hold", port=ours.port, requests=[raw.decode() for raw in messages], gap=0.01)
        until(lambda: _queued(ours, agent) == size.waiting, 120, 0.5)
        time.sleep(2)
        during = settled(lambda: _seen(ours))
        busy = other.load(ours.port, status, connections=1, count=200)
        opener = ours.raw("POST", f"/agents/{agent}/resume").decode()
        answered = crowd.do("release", port=ours.port, opener=opener, seconds=120)
        yield _result(size, before, during, quiet, busy, answered)


def _seen(ours: Product) -> dict[str, int]:
    return {"rss": rss(ours.web), "threads": threads(ours.web), "connections": _connections(ours)}


def _connections(ours: Product) -> int:
    """The database connections of the whole installation, by PostgreSQL's or the process's own account."""
    if SERVICES:
        url = ours.live.env["DATABASE_URL"]
        with psycopg.connect(url.rsplit("/", 1)[0] + "/postgres") as admin:
            counting = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
            found = admin.execute(counting, [url.rsplit("/", 1)[1]]).fetchone()
        return int(found[0]) if found else 0
    folder = f"/proc/{ours.web}/fd"
    return sum(_target(f"{folder}/{number}").endswith(".sqlite3") for number in os.listdir(folder))


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


def _queued(ours: Product, agent: str) -> int:
    return int(ours.call("GET", f"/tasks?agentId={agent}&status=queued&limit=1")["pagination"]["total"])


def _result(
    size: Size,
    before: dict[str, int],
    during: dict[str, int],
    quiet: dict[str, Any],
    busy: dict[str, Any],
    answered: dict[str, Any],
) -> Result:
    each = (during["rss"] - before["rss"]) / size.waiting / 1000
    promises = {
        "memory": each <= KB_EACH,
        "threads": during["threads"] - before["threads"] <= size.waiting // STRAY,
        "connections": during["connections"] - before["connections"] <= size.waiting // STRAY,
        "others": busy["p50"] <= P50_MS,
        "everybodyAnswered": answered["count"] == size.waiting and not answered["early"],
    }
    details = {
        "waiting": size.waiting,
        "promises": promises,
        "threads": [before["threads"], during["threads"]],
        "databaseConnections": [before["connections"], during["connections"]],
        "othersP50Ms": busy["p50"],
        "othersP50MsBefore": quiet["p50"],
        "lastAnswerMsAfterRelease": answered.get("max"),
        "answeredPerSecond": answered["count"] / (answered.get("max", 0) / 1000 or 1),
        "toldToComeBack": answered["toldToComeBack"],
    }
    base = before["rss"] / 1_000_000
    details["serverMbBefore"] = base
    target = f"<= {KB_EACH} KB each, no threads, no connections, others <= {P50_MS} ms p50"
    return Result("waiting", each, "KB each", target=target, ok=all(promises.values()), details=details)
