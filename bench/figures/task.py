"""(d) A task for the echo agent, from being submitted over REST to completed, against a no-op task of bare Celery."""

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from bench.load import LoadProcess
from bench.result import Result
from bench.rounds import compare
from bench.servers import Product, bare_celery, product
from bench.sizes import Size
from tests.live import until

from .submit import BODY

KEYS = ("p50", "p99")


def measure(folder: Path, size: Size) -> Iterator[Result]:
    """Tasks per second in a burst, and the time that one task takes while nothing else is done."""
    with product(folder / "product") as ours, bare_celery(folder) as bare, LoadProcess() as load:
        singles: dict[str, list[dict[str, Any]]] = {"ours": [], "bare": []}
        bursts: list[dict[str, Any]] = []
        alone = max(20, size.count // size.rounds)

        def mine() -> float:
            bursts.append(burst(ours, load, size.tasks))
            agent = ours.live.echo_agent()
            raw = ours.raw("POST", f"/agents/{agent}/tasks", BODY).decode()
            singles["ours"].append(load.do("follow", port=ours.port, submit=raw, headers=ours.headers, count=alone))
            return float(bursts[-1]["perSecond"])

        def theirs() -> float:
            bare[0].write(f"{size.tasks} {alone}\n".encode())
            bare[0].flush()
            line = bare[1].readline()
            assert line, f"bare Celery's sender ended: {(folder / 'sender.log').read_text()[-2000:]}"
            singles["bare"].append(orjson.loads(line))
            return float(singles["bare"][-1]["perSecond"])

        both = compare(mine, theirs, min(5, size.rounds))
        middle = {f"{side}{key}": median(s[key] for s in seen) for side, seen in singles.items() for key in KEYS}
        details = {"rounds": both.subject, "baselineRounds": both.baseline, "burst": size.tasks}
        details |= {key: median(b[key] for b in bursts) for key in ("queuedP50", "queuedP99")}
        yield Result("task", both.value, "tasks/s", both.base, both.ratio, details=details)
        ratio = middle["oursp50"] / middle["barep50"]
        details = {"p99": middle["oursp99"], "baselineP99": middle["barep99"]}
        yield Result("task-alone", middle["oursp50"], "ms p50", middle["barep50"], ratio, details=details)


def burst(ours: Product, load: LoadProcess, count: int) -> dict[str, Any]:
    """16 clients submit as fast as they can; the time ends when the last task has."""
    agent = ours.live.echo_agent(100)
    raw = ours.raw("POST", f"/agents/{agent}/tasks", BODY)
    begun = time.time()
    sent = load.load(ours.port, [raw], count=count)
    assert sent["count"] == count, sent
    until(lambda: _total(ours, agent) >= count, 120, 0.1)
    spans = list(_spans(ours, agent))
    waits = sorted(finished - created for created, finished in spans)
    took = max(finished for _, finished in spans) - begun
    return {
        "perSecond": count / took,
        "queuedP50": waits[len(waits) // 2] * 1000,
        "queuedP99": waits[len(waits) * 99 // 100] * 1000,
    }


def _total(ours: Product, agent: str) -> int:
    found = ours.call("GET", f"/tasks?agentId={agent}&status=completed&limit=1")
    return int(found["pagination"]["total"])


def _spans(ours: Product, agent: str) -> Iterator[tuple[float, float]]:
    path, cursor = f"/tasks?agentId={agent}&limit=100", ""
    while True:
        page = ours.call("GET", path + cursor)
        for task in page["tasks"]:
            begun, ended = (datetime.fromisoformat(task[key]).timestamp() for key in ("createdAt", "finishedAt"))
            yield begun, ended
        if not page["pagination"]["hasMore"]:
            return
        cursor = f"&cursor={page['pagination']['nextCursor']}"
