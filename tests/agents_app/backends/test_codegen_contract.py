"""The shared contract, for Codegen."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .codegen_server import (
    CREATE,
    KEY,
    READ,
    Answering,
    backend,
    codegen,
    config,
    done,
    fault,
    goes_away,
    hangs,
    says,
)
from .contract import RETRY_AFTER_SECONDS, BackendContract, Subject

REFUSALS: dict[str, Answering] = {
    "refused": fault(401, f"unknown token {KEY}"),
    "limited": fault(429, f"too many of {KEY}", **{"Retry-After": str(RETRY_AFTER_SECONDS)}),
    "server_error": fault(500, f"{KEY} is too much for me"),
    "nonsense": says("[1, 2"),
    "silent": hangs,
}
# What befalls every look at a run that has begun.
AFTER: dict[str, Answering] = {"stalls": hangs, "breaks": goes_away}


class TestCodegen(BackendContract):
    """The `codegen` backend; its API reports no usage and gives an answer in one piece."""

    streams = False

    @asynccontextmanager
    async def subject(self, situation: str) -> AsyncIterator[Subject]:
        async with codegen() as server:
            if situation in REFUSALS:
                server.faults[CREATE].append(REFUSALS[situation])
            elif situation in AFTER:
                server.faults[READ].extend([AFTER[situation]] * 10)
            server.plays.extend([done("Hi there")] * 4)
            reached = server.watched if situation == "stalls" else server.reached
            subject = Subject(backend(), config(server), "Hi there", 0, KEY, reached, connected=lambda: server.live)
            if situation == "gone":
                subject.config["baseUrl"] = _nobody()
            yield subject


def _nobody() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"
