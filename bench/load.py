"""The load process: `python -m bench.load` reads jobs as JSON lines and answers each with a JSON line."""

import asyncio
import gc
import subprocess
import sys
from types import TracebackType
from typing import Any

import orjson

from .jobs import Held, Json, follow, load
from .runners import Runners
from .sockets import Sockets
from .workflows import workflows


class LoadProcess:
    """The other end: a client in a process of its own."""

    def __enter__(self) -> "LoadProcess":
        command = [sys.executable, "-m", "bench.load"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait(10)

    def do(self, job: str, **facts: Any) -> Json:
        """Have a job done."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(orjson.dumps({"job": job} | facts) + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the load process ended during {job}"
        return dict(orjson.loads(line))

    def load(
        self, port: int, requests: list[bytes], *, connections: int = 16, seconds: float = 60, count: int = 0
    ) -> Json:
        """Load a server, for so many seconds or so many requests."""
        texts = [raw.decode() for raw in requests]
        return self.do("load", port=port, requests=texts, connections=connections, seconds=seconds, count=count)


async def _serve() -> None:
    held, runners, sockets = Held(), Runners(), Sockets()
    jobs = {"load": load, "follow": follow, "hold": held.send, "release": held.release}
    jobs |= {"runners": runners.begin, "runners-alone": runners.alone}
    jobs |= {"workflows": workflows}
    jobs |= {"runners-burst": runners.burst, "runners-drained": runners.drained}
    jobs |= {"sockets-open": sockets.open, "sockets-close": sockets.close, "sockets-expect": sockets.expect}
    jobs |= {"sockets-arrived": sockets.arrived, "sockets-delays": sockets.delays, "sockets-hear": sockets.hear}
    lines = asyncio.StreamReader(limit=1 << 26)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin.buffer)
    while line := await lines.readline():
        job = orjson.loads(line)
        answer = await jobs[job["job"]](job)
        gc.collect()
        sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    gc.disable()
    asyncio.run(_serve())
