"""Behind every signal that a message has ended: a look, once a second, for all that the sockets wait for."""

import asyncio
import logging
from functools import partial
from typing import Protocol

from sessions_app import waiting

from .pool import in_pool

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
AT_ONCE = 500


class Waiting(Protocol):
    """Whoever waits for a message."""

    def look(self) -> None:
        """It has ended."""


class Lookout:
    """All messages that this process's sockets wait for, and who does."""

    def __init__(self) -> None:
        self._waiting: dict[str, Waiting] = {}
        self._looking: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, message_id: str, waiting: Waiting) -> None:
        """Wait for a message (in loop)."""
        self._waiting[message_id] = waiting
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look_for_ever())

    def leave(self, message_id: str) -> None:
        """Wait no more (in loop)."""
        self._waiting.pop(message_id, None)

    async def _look_for_ever(self) -> None:
        while self._waiting:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self._look()
            except Exception as error:
                logger.warning("answers not looked for: %s", type(error).__name__)

    async def _look(self) -> None:
        keys = [f"message:{message_id}" for message_id in self._waiting]
        for start in range(0, len(keys), AT_ONCE):
            for key in await in_pool(partial(waiting.ended, keys[start : start + AT_ONCE])):
                one = self._waiting.get(key.removeprefix("message:"))
                if one:
                    one.look()


lookout = Lookout()
