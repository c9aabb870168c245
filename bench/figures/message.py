"""(c) A message to the echo agent, from the request to the answer."""

from collections.abc import Iterator
from pathlib import Path

from bench.load import LoadProcess
from bench.result import Result
from bench.rounds import compare
from bench.servers import bare, product
from bench.sizes import Size
from bench.versus import Side, versus

from .submit import BODY

TARGET_MS = 15
CONTENT = {"content": "Which file holds the settings?"}


def measure(folder: Path, size: Size) -> Iterator[Result]:
    """One client's median, beside one bare insert's; then what 16 clients get, each in its own session."""
    with product(folder / "product") as ours, bare(folder) as theirs, LoadProcess() as load:
        agent = ours.live.echo_agent(100)
        sessions = [ours.session(agent) for _ in range(16)]
        messages = [ours.raw("POST", f"/sessions/{session}/messages", CONTENT) for session in sessions]
        insert = [theirs.submit(BODY)]
        count = max(20, size.count // size.rounds)
        spreads = []

        def mine() -> float:
            spreads.append(load.load(ours.port, messages[:1], connections=1, count=count))
            assert not spreads[-1]["refused"]
            return float(spreads[-1]["p50"])

        load.load(ours.port, messages[:1], connections=1, count=20)
        both = compare(
            mine, lambda: float(load.load(theirs.port, insert, connections=1, count=count)["p50"]), size.rounds
        )
        details = {"rounds": both.subject, "p99": [spread["p99"] for spread in spreads], "baselineIs": "bare insert"}
        met = both.value <= TARGET_MS
        yield Result("message", both.value, "ms p50", both.base, both.ratio, f"<= {TARGET_MS} ms", met, details)
        yield versus("message-16", load, Side(ours.port, messages), Side(theirs.port, insert), size, target=None)
