"""(b) `POST /agents/{id}/tasks` against a bare view with one insert on stock Daphne."""

from collections.abc import Iterator
from pathlib import Path

from bench.load import LoadProcess
from bench.result import Result
from bench.servers import bare, product
from bench.sizes import Size
from bench.versus import Side, versus

TARGET = 0.7
BODY = {"type": "bench", "description": "Add a /version endpoint that answers with the number of the release."}


def measure(folder: Path, size: Size) -> Iterator[Result]:
    """Requests per second with 16 connections: to a paused agent, and to one that runs them at the same time."""
    with product(folder / "product") as ours, bare(folder) as theirs, LoadProcess() as load:
        baseline = Side(theirs.port, [theirs.submit(BODY)])
        agent = ours.live.echo_agent()
        ours.call("POST", f"/agents/{agent}/pause")
        paused = Side(ours.port, [ours.raw("POST", f"/agents/{agent}/tasks", BODY)])
        yield versus("submit", load, paused, baseline, size, target=TARGET)
        busy = Side(ours.port, [ours.raw("POST", f"/agents/{ours.live.echo_agent(100)}/tasks", BODY)])
        yield versus("submit-and-run", load, busy, baseline, size, target=None)
