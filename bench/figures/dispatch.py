"""What it costs to hand out and end a task while 100,000 wait, against the same while 100 do."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from bench.load import LoadProcess
from bench.result import Result
from bench.rounds import compare
from bench.servers import Product, product
from bench.sizes import Size
from tests.live import ROOT

from .runner import AGENT

TARGET = 1.5
FEW = 100
EACH = 20  # tasks of a round


def measure(folder: Path, size: Size) -> Iterator[Result]:
    """The time of one lease and one report, one runner."""
    with product(folder / "few") as small, product(folder / "many") as large, LoadProcess() as load:
        many = _filled(small, FEW + EACH * (size.rounds + 2)), _filled(large, size.queued)
        for server, agent in zip((small, large), many, strict=True):
            _drained(load, server, agent)()
        both = compare(_drained(load, large, many[1]), _drained(load, small, many[0]), size.rounds)
        details = {"waiting": size.queued, "baselineWaiting": FEW, "rounds": both.subject}
        wanted, met = f"ratio <= {TARGET}", both.ratio <= TARGET
        yield Result("dispatch", both.value, "ms p50", both.base, both.ratio, wanted, met, details)


def _filled(server: Product, count: int) -> str:
    """A runner's agent for which so many tasks wait."""
    agent = str(server.call("POST", "/agents", AGENT)["agent"]["id"])
    wanted = {"org": server.live.org, "agent": agent, "queued": count}
    env = server.live.env | {"DJANGO_SETTINGS_MODULE": "taskmaster.settings"}
    subprocess.run(
        [sys.executable, "-m", "bench.rows"],
        cwd=ROOT,
        env=env,
        input=orjson.dumps(wanted),
        stdout=subprocess.PIPE,
        check=True,
    )
    return agent


def _drained(load: LoadProcess, server: Product, agent: str) -> Callable[[], float]:
    about = {"port": server.port, "agent": agent, "headers": server.headers}
    return lambda: float(load.do("runners-drained", count=EACH, **about)["p50"])
