"""Behind every signal: a look, once a second, for all that the sockets of this process wait for."""

import asyncio
import contextvars
import logging
from functools import partial
from typing import Any, Protocol

from agents_app.models import Action
from sessions_app.models import Message

from .pool import in_pool

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
AT_ONCE = 500

# A message, and the question that its agent has asked.
Asked = tuple[str, dict[str, Any]]


class Waiting(Protocol):
    """Whoever waits for messages."""

    def look(self) -> None:
        """One of them has ended."""

    def ask(self, message_id: str, action: dict[str, Any]) -> None:
        """The agent that answers it waits for a decision."""


class Lookout:
    """All messages that are waited for, and who does."""

    def __init__(self) -> None:
        self._waiting: dict[str, Waiting] = {}
        self._looking: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, message_id: str, waiting: Waiting) -> None:
        """Wait for a message (in loop)."""
        self._waiting[message_id] = waiting
        if self._looking is None or self._looking.done():
            loop = asyncio.get_running_loop()
            self._looking = loop.create_task(self._look_for_ever(), context=contextvars.Context())

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
        ids = list(self._waiting)
        for start in range(0, len(ids), AT_ONCE):
            ended, asked = await in_pool(partial(_standing, ids[start : start + AT_ONCE]))
            for message_id, action in asked:
                if one := self._waiting.get(message_id):
                    one.ask(message_id, action)
            for message_id in ended:
                if one := self._waiting.get(message_id):
                    one.look()


def _standing(ids: list[str]) -> tuple[list[str], list[Asked]]:
    """Those of these messages that have ended, and the open questions of the others."""
    tasks: list[str] = []
    ended: list[str] = []
    for pk, status, task_id in Message.objects.filter(pk__in=ids).values_list("pk", "status", "task_id"):
        if status in Message.FINISHED:
            ended.append(pk)
        elif task_id:
            tasks.append(task_id)
    pending = Action.objects.filter(task_id__in=tasks, status=Action.PENDING) if tasks else []
    return ended, [(action.message_id, action.public()) for action in pending if action.message_id]


lookout = Lookout()
