"""The answers that a socket waits for."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from sessions_app.models import Message
from sessions_app.waiting import error_of
from taskmaster.core.wakeups import hub

from .following import Following
from .frames import Frame, error_frame, wire
from .lookout import lookout
from .pool import in_pool
from .sink import Sink

logger = logging.getLogger(__name__)

Listener = Callable[[Any], None]


class Answers:
    """Tells the answers to the messages of one socket: piece by piece, then as a whole, in the order they ended in."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        # In the order in which they were sent, which is that of their answers.
        self._open: dict[str, Following] = {}
        self._listeners: dict[str, Listener] = {}
        self._telling: asyncio.Task[None] | None = None
        self._again = False

    def follow(self, message_id: str, mark: Frame) -> None:
        """Tell this one too (in loop)."""
        following = self._open[message_id] = Following(message_id, mark)
        heard = self._listeners[message_id] = partial(self._heard, following)
        lookout.join(message_id, self)
        hub.listen(f"live:{message_id}", heard)
        hub.listen(f"message:{message_id}", self.look)

    def stop(self) -> None:
        """Tell nothing any more."""
        for message_id in list(self._open):
            self._forget(message_id)

    def look(self, _: Any = None) -> None:
        """One of them may have ended."""
        self._again = True
        if self._telling is None or self._telling.done():
            self._telling = asyncio.get_running_loop().create_task(self._tell_ended())

    def ask(self, message_id: str, action: dict[str, Any]) -> None:
        """The agent waits for a decision; the same again changes nothing."""
        following = self._open.get(message_id)
        if following and action["id"] not in following.asked and self._sink.can_send:
            following.asked.add(action["id"])
            self._tell({"type": "action", "messageId": message_id, "action": action})

    def _forget(self, message_id: str) -> None:
        del self._open[message_id]
        lookout.leave(message_id)
        hub.unlisten(f"live:{message_id}", self._listeners.pop(message_id))
        hub.unlisten(f"message:{message_id}", self.look)

    def _heard(self, following: Following, data: dict[str, Any]) -> None:
        if data["event"] == "delta":
            following.hear(data)
            self._tell_pieces()
        elif data["event"] == "action":
            self.ask(following.message_id, data["action"])
        elif self._sink.can_send and not self._sink.is_behind:
            about = {"progress": data["progress"], "message": data["message"]}
            self._tell({"type": "progress", "messageId": following.message_id, **about})

    def _tell_pieces(self) -> None:
        """The next answer that ends is told as it comes; pieces of a later one wait until it has been told."""
        first = next(iter(self._open.values()), None)
        if first and self._sink.can_send and not self._sink.is_behind:
            self._tell(first.piece())

    async def _tell_ended(self) -> None:
        try:
            while self._again and self._open:
                self._again = False
                while await self._tell_next():
                    pass
        except ConnectionError:
            return
        except Exception as error:
            logger.warning("answers not told yet: %s", type(error).__name__)  # The next look finds them again.

    async def _tell_next(self) -> bool:
        """Tell the answer that was there first; False where there is none, or nobody to tell it to."""
        await self._sink.room()
        ids = list(self._open)
        message = await in_pool(partial(_first_ended, ids)) if ids and self._sink.can_send else None
        following = self._open.get(message.pk) if message else None
        if message is None or following is None:
            return False
        self._forget(message.pk)
        for frame in _end(message, following):
            self._tell(frame)
        self._tell_pieces()
        return True

    def _tell(self, frame: Frame | None) -> None:
        if frame:
            self._sink.write_frames(wire(frame))


def _first_ended(ids: list[str]) -> Message | None:
    ended = Message.objects.filter(pk__in=ids, status__in=Message.FINISHED)
    return ended.order_by("finished_at", "position").first()


def _end(message: Message, following: Following) -> list[Frame | None]:
    """The last frames of an answer."""
    about = {"messageId": message.pk, "status": message.status, **following.mark}
    if message.status != Message.COMPLETED:
        return [error_frame(error_of(message), **about)]
    response = message.response or {}
    rest = following.rest(str(response.get("content", "")))
    return [rest, {"type": "response", **about, "response": response}]
