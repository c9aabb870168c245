"""The shared contract, for the acp backend and a small agent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ..local_model.running import alive
from .acp_agent import TOKENS
from .acp_running import SECRET, Desktop
from .contract import FAILURES, BackendContract, Failure, Subject


@dataclass
class Arrival:
    """Set when an agent has left its process id in the folder."""

    folder: Path

    async def wait(self) -> None:
        while not any(self.folder.iterdir()):  # noqa: ASYNC110 - it is another process that it waits for
            await asyncio.sleep(0.01)


class TestAcp(BackendContract):
    """An agent that is not installed will not be there at the next attempt either."""

    failures: ClassVar = {**FAILURES, "gone": Failure(transient=False)}

    @pytest.fixture(autouse=True)
    def _folders(self, tmp_path: Path) -> None:
        self.work, self.pids = tmp_path / "work", tmp_path / "pids"
        self.work.mkdir()
        self.pids.mkdir()

    @asynccontextmanager
    async def subject(self, situation: str) -> AsyncIterator[Subject]:
        desktop, arrived = Desktop(self.work), Arrival(self.pids)
        request = desktop.request(situation, env={"PIDS": str(self.pids)})
        config: dict[str, Any] = dict(request.config)
        if situation == "gone":
            config["command"] = ["/nowhere/agent"]
        yield Subject(
            desktop.backend(),
            config,
            answer="Hi there",
            tokens=TOKENS,
            secret=SECRET,
            reached=arrived,  # type: ignore[arg-type]
            connected=lambda: sum(alive(int(file.name)) for file in self.pids.iterdir()),
            more={"workspace": str(self.work), "session_id": "session_1"},
        )
