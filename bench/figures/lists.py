"""(f) Lists and single objects with a million messages and tasks stored, against the same with a thousand."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from bench.load import LoadProcess
from bench.result import Result
from bench.rounds import Comparison, compare
from bench.servers import Product, product
from bench.sizes import Size
from tests.live import ROOT

TARGET = 1.5

Requests = Callable[["Filled"], list[str]]


class Filled:
    """An installation with so many tasks, as many messages in one session, and as many more in sessions of 100."""

    def __init__(self, server: Product, count: int) -> None:
        self.server, self.count = server, count
        self.agent = server.live.echo_agent()
        self.session = server.session(self.agent)
        wanted = {"org": server.live.org, "agent": self.agent, "session": self.session, "count": count}
        command, env = [sys.executable, "-m", "bench.rows"], {"DJANGO_SETTINGS_MODULE": "taskmaster.settings"}
        made = subprocess.run(
            command, cwd=ROOT, env=server.live.env | env, input=orjson.dumps(wanted), stdout=subprocess.PIPE, check=True
        )
        self.ids: dict[str, list[str]] = orjson.loads(made.stdout)

    def deep(self, path: str) -> str:
        """The same list from its middle on, by the cursor that it gives there."""
        page = self.server.call("GET", f"{path}?limit=50&offset={self.count // 2}")
        return f"{path}?limit=50&cursor={page['pagination']['nextCursor']}"

    @property
    def messages(self) -> str:
        """The path of the long session's messages."""
        return f"/sessions/{self.session}/messages"


REQUESTS: dict[str, Requests] = {
    "tasks": lambda it: ["/tasks?limit=50"],
    "tasks, deep": lambda it: [it.deep("/tasks")],
    "tasks of an agent": lambda it: [f"/tasks?limit=50&agentId={it.agent}"],
    "tasks, failed": lambda it: ["/tasks?limit=50&status=failed"],
    "task": lambda it: [f"/tasks/{pk}" for pk in it.ids["tasks"]],
    "messages, one session": lambda it: [f"{it.messages}?limit=50"],
    "messages, one session, deep": lambda it: [it.deep(it.messages)],
    "messages, many sessions": lambda it: [f"/sessions/{pk}/messages?limit=50" for pk in it.ids["sessions"]],
    "message": lambda it: [f"{it.messages}/{pk}" for pk in it.ids["messages"]],
    "sessions": lambda it: ["/sessions?limit=10"],
    "agent status": lambda it: [f"/agents/{it.agent}/status"],
}


def measure(folder: Path, size: Size) -> Iterator[Result]:
    """The worst ratio of all these requests' medians, one client."""
    with product(folder / "few") as small, product(folder / "many") as large, LoadProcess() as load:
        few, many = Filled(small, size.few), Filled(large, size.many)
        shown, worst = {}, 0.0
        for name, paths in REQUESTS.items():
            both, first = _compare(load, few, many, paths, size)
            shown[name] = {"ms": both.value, "baseline": both.base, "ratio": both.ratio, "firstMs": first}
            worst = max(worst, both.ratio)
        slowest = max(shown.values(), key=lambda one: one["ratio"])
        details = {"rows": size.many, "baselineRows": size.few, "requests": shown}
        wanted, met = f"ratio <= {TARGET}", worst <= TARGET
        yield Result("lists", slowest["ms"], "ms p50", slowest["baseline"], worst, wanted, met, details)


def _compare(load: LoadProcess, few: Filled, many: Filled, paths: Requests, size: Size) -> tuple[Comparison, float]:
    """Both in turns, and how long the very first request took in the large one: nothing was remembered then."""
    once = [many.server.raw("GET", path) for path in paths(many)[:1]]
    first = load.load(many.server.port, once, connections=1, count=1)["p50"]

    def timed(it: Filled) -> Callable[[], float]:
        raw = [it.server.raw("GET", path) for path in paths(it)]
        load.load(it.server.port, raw, connections=1, count=len(raw) + 10, seconds=size.seconds)
        return lambda: _p50(load.load(it.server.port, raw, connections=1, count=100, seconds=size.seconds))

    return compare(timed(many), timed(few), size.rounds), first


def _p50(answer: dict[str, Any]) -> float:
    assert not answer["refused"], answer
    return float(answer["p50"])
