"""An agent's process as the worker sees it: its pipes, its last words, its end."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

KEEPER = (sys.executable, "-I", "-S", str(Path(__file__).with_name("keeper.py")))
# Longer than the keeper takes; then it is killed, and the kernel kills the agent.
PATIENCE = 1.0
LAST_WORDS = 4_096
CHUNK = 65_536


class AgentProcess:
    """A running agent. Whoever starts it stops it."""

    def __init__(self, keeper: asyncio.subprocess.Process, leash: int) -> None:
        assert keeper.stdin
        assert keeper.stdout
        self.stdin, self.stdout = keeper.stdin, keeper.stdout
        self._keeper = keeper
        self._leash = leash
        self._tail = b""
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, command: Sequence[str], *, env: Mapping[str, str], cwd: str) -> "AgentProcess":
        """Start `command`, whose first word is a path. Raises OSError where that cannot even be tried."""
        held, leash = os.pipe()
        try:
            keeper = await asyncio.create_subprocess_exec(
                *KEEPER,
                str(held),
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=env,
                cwd=cwd,
                pass_fds=(held,),
                start_new_session=True,
            )
        except BaseException:
            os.close(leash)
            raise
        finally:
            os.close(held)
        return cls(keeper, leash)

    def last_words(self) -> str:
        """The last line that it wrote to its error output, "" where there is none."""
        lines = self._tail.decode(errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    async def exit_code(self) -> int | None:
        """How it ended, or None where it has not ended within a moment."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._listening
                return await self._keeper.wait()
        return None

    async def stop(self) -> None:
        """End it and all that it started, within a second or two, and let go of its pipes."""
        self.stdin.close()
        os.close(self._leash)
        try:
            async with asyncio.timeout(PATIENCE):
                await self._all_read()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._keeper.pid, signal.SIGKILL)
            await self._all_read()

    async def _all_read(self) -> None:
        """A pipe that nobody reads to its end stays open."""
        while await self.stdout.read(CHUNK):
            pass
        await self._listening
        await self._keeper.wait()

    async def _listen(self) -> None:
        assert self._keeper.stderr
        while chunk := await self._keeper.stderr.read(CHUNK):
            self._tail = (self._tail + chunk)[-LAST_WORDS:]


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Finish a clean-up of bounded time even where the run is cancelled meanwhile; the cancel is raised after it."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled and not task.cancelled():
        task.exception()
        raise cancelled
    return task.result()
