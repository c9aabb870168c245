"""The answers to messages that were sent over sockets: told piece by piece, then as a whole."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from sessions_app import waiting
from sessions_app.models import Message
from taskmaster.core.errors import ApiError
from taskmaster.core.wakeups import hub

from .frames import Frame, error_frame
from .pool import in_pool

logger = logging.getLogger(__name__)

# A lost signal is noticed after this many seconds, by one query for all.
LOOK_SECONDS = 1.0

Tell = Callable[[Frame], None]


class Following:
    """One message until it has ended; `tell` gets its frames."""

    def __init__(self, message_id: str, tell: Tell, mark: dict[str, Any]) -> None:
        self.message_id, self._tell, self._mark = message_id, tell, mark
        self._told = 0
        self._ending = self.over = False

    def begin(self) -> None:
        """Listen (in the hub's loop)."""
        hub.listen(f"live:{self.message_id}", self._live)
        hub.listen(f"message:{self.message_id}", self.ended)

    def stop(self) -> None:
        """Listen no more."""
        self.over = True
        hub.unlisten(f"live:{self.message_id}", self._live)
        hub.unlisten(f"message:{self.message_id}", self.ended)

    def _live(self, data: dict[str, Any]) -> None:
        about = {"messageId": self.message_id}
        if data["event"] == "progress":
            self._tell({"type": "progress", **about, "progress": data["progress"], "message": data["message"]})
        elif data["event"] == "action":
            self._tell({"type": "action", **about, "action": data["action"]})
        elif data["offset"] <= self._told:  # Otherwise a piece was lost; the rest comes with the end.
            self._delta(data["content"][self._told - data["offset"] :])

    def _delta(self, text: str) -> None:
        if text:
            self._tell({"type": "delta", "messageId": self.message_id, "content": text, "offset": self._told})
            self._told += len(text)

    def ended(self, _: Any = None) -> None:
        """The signal that it has ended: the row says how."""
        if not self._ending:
            self._ending = True
            answers.run(self._finish())

    async def _finish(self) -> None:
        try:
            message = await in_pool(lambda: Message.objects.filter(pk=self.message_id).first())
        except Exception:
            self._ending = False  # The next look finds it again.
            raise
        if message is not None and message.status not in Message.FINISHED:
            self._ending = False
            return
        answers.forget(self)
        if message is not None:
            self._tell_end(message)

    def _tell_end(self, message: Message) -> None:
        about = {"messageId": message.pk, "status": message.status, **self._mark}
        if message.status != Message.COMPLETED:
            error: ApiError = waiting.error_of(message)
            return self._tell(error_frame(error, **about))
        response = message.response or {}
        self._delta(str(response.get("content", ""))[self._told :] if self._told else "")
        return self._tell({"type": "response", **about, "response": response})


class Answers:
    """All that this process follows."""

    def __init__(self) -> None:
        self._following: dict[str, set[Following]] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[None] | None = None

    def follow(self, following: Following) -> None:
        """Begin (in the hub's loop)."""
        self._following.setdefault(following.message_id, set()).add(following)
        following.begin()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look_for_ever())

    def forget(self, following: Following) -> None:
        """End; the same again changes nothing."""
        same = self._following.get(following.message_id)
        if same and following in same:
            following.stop()
            same.discard(following)
            if not same:
                del self._following[following.message_id]

    def run(self, call: Any) -> None:
        """Run a coroutine whose failure the next look mends."""
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(_quietly(call))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _look_for_ever(self) -> None:
        while self._following:
            await asyncio.sleep(LOOK_SECONDS)
            await _quietly(self._look())

    async def _look(self) -> None:
        keys = [f"message:{message_id}" for message_id in self._following]
        for start in range(0, len(keys), 500):
            for key in await in_pool(partial(waiting.ended, keys[start : start + 500])):
                for following in list(self._following.get(key.removeprefix("message:"), ())):
                    following.ended()


async def _quietly(call: Any) -> None:
    try:
        await call
    except Exception as error:
        logger.warning("left for the next look: %s", type(error).__name__)


answers = Answers()
