"""The load client's own ceiling: what it gets from a server that does nothing."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.http import request
from bench.load import LoadProcess
from bench.result import Result
from bench.servers import listens, running
from bench.sizes import Size
from tests.live import free_port, until

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def measure(folder: Path, size: Size) -> Iterator[Result]:
    """Requests per second. The other figures mean something while they stay far below it."""
    port = free_port()
    with running([sys.executable, "-m", "bench.figures.client", str(port)], {}, folder / "log"), LoadProcess() as load:
        until(lambda: listens(port))
        raw = request("GET", "/agents/1/status", {"Authorization": "Bearer key"})
        rounds = [load.load(port, [raw], seconds=size.seconds)["perSecond"] for _ in range(3)]
    yield Result("client", median(rounds), "requests/s", details={"rounds": rounds})


class _Nothing(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(ANSWER)  # type: ignore[attr-defined]


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Nothing, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
