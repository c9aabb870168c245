"""(e) The memory of a server that has answered something and now has nothing to do."""

from collections.abc import Iterator
from pathlib import Path

from bench.load import LoadProcess
from bench.result import Result
from bench.servers import bare, product, rss, settled
from bench.sizes import Size

MB = 1_000_000


def measure(folder: Path, size: Size) -> Iterator[Result]:
    """Resident megabytes of all processes together, against the bare project's one process on stock Daphne."""
    with product(folder / "product") as ours, bare(folder) as theirs, LoadProcess() as load:
        agent = ours.live.echo_agent()
        message = ours.raw("POST", f"/sessions/{ours.session(agent)}/messages", {"content": "hello"})
        load.load(ours.port, [message, ours.raw("GET", f"/agents/{agent}/status")], connections=4, count=200)
        load.load(theirs.port, [theirs.status()], connections=4, count=200)
        pids = {name: process.pid for name, process in ours.live.processes.items()}
        each = settled(lambda: {name: round(rss(pid) / MB, 1) for name, pid in pids.items()})
        total, base = sum(each.values()), rss(theirs.pid) / MB
        yield Result("memory", total, "MB", base, total / base, details={"processes": each})
