"""(a) `GET /agents/{id}/status` with everything on, against a bare view with one token query on stock Daphne."""

from collections.abc import Iterator
from pathlib import Path

from bench.load import LoadProcess
from bench.result import Result
from bench.servers import bare, product
from bench.sizes import Size
from bench.versus import Side, versus

TARGET = 1.0


def measure(folder: Path, size: Size) -> Iterator[Result]:
    """Requests per second with 16 connections."""
    with product(folder / "product") as ours, bare(folder) as theirs, LoadProcess() as load:
        agent = ours.live.echo_agent()
        subject = Side(ours.port, [ours.raw("GET", f"/agents/{agent}/status")])
        yield versus("status", load, subject, Side(theirs.port, [theirs.status()]), size, target=TARGET)
