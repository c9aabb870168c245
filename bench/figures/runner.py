"""A task for a runner over its long poll, from the request to the accepted report, against bare Celery's no-op."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from bench.load import LoadProcess
from bench.result import Result
from bench.rounds import compare
from bench.servers import bare_celery, product
from bench.sizes import Size

from .submit import BODY

RUNNERS = 16
AGENT = {"name": "bench", "type": "custom", "backend": "runner", "maxConcurrentTasks": 100}


def measure(folder: Path, size: Size) -> Iterator[Result]:
    """Tasks a second with 16 runners at one agent, and the time that one task takes while nothing else is done."""
    with product(folder / "product") as ours, bare_celery(folder) as bare, LoadProcess() as load:
        agent = ours.call("POST", "/agents", AGENT)["agent"]["id"]
        about = {"port": ours.port, "agent": agent, "headers": ours.headers}
        submit = ours.raw("POST", f"/agents/{agent}/tasks", BODY).decode()
        singles: dict[str, list[dict[str, Any]]] = {"ours": [], "bare": []}
        alone = max(20, size.count // size.rounds)
        load.do("runners", count=RUNNERS, **about)

        def mine() -> float:
            singles["ours"].append(load.do("runners-alone", port=ours.port, submit=submit, count=alone))
            done = load.do("runners-burst", port=ours.port, submit=submit, count=size.tasks // 2)
            return float(done["perSecond"])

        def theirs() -> float:
            bare[0].write(f"{size.tasks} {alone}\n".encode())
            bare[0].flush()
            singles["bare"].append(orjson.loads(bare[1].readline()))
            return float(singles["bare"][-1]["perSecond"])

        both = compare(mine, theirs, min(5, size.rounds))
        details = {"runners": RUNNERS, "rounds": both.subject, "baselineRounds": both.baseline}
        yield Result("runner", both.value, "tasks/s", both.base, both.ratio, details=details)
        middle = {side: median(each["p50"] for each in seen) for side, seen in singles.items()}
        details = {"p99": median(each["p99"] for each in singles["ours"])}
        ratio = middle["ours"] / middle["bare"]
        yield Result("runner-alone", middle["ours"], "ms p50", middle["bare"], ratio, details=details)
