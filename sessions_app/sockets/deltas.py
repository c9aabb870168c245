"""`message.delta`: the pieces of all running answers, for the sockets that have asked for them by name."""

import time
from collections import defaultdict
from typing import Any

from taskmaster.core.wakeups import hub

from .frames import wire
from .sink import Sink
from .subscription import Subscription

TYPE, PREFIX = "message.delta", "live:"


class Deltas:
    """Live only: whoever is behind with reading misses them, and nothing is ever kept for anybody."""

    def __init__(self) -> None:
        self._sockets: defaultdict[str, dict[Subscription, Sink]] = defaultdict(dict)
        self._listening = False

    def join(self, subscription: Subscription, sink: Sink) -> None:
        """Tell it of the pieces that it wants; the same again changes nothing (in loop)."""
        self._sockets[subscription.org_id][subscription] = sink
        if not self._listening:
            self._listening = True
            hub.listen_prefix(PREFIX, self._heard)

    def leave(self, subscription: Subscription) -> None:
        """Tell it no more (in loop)."""
        sockets = self._sockets[subscription.org_id]
        sockets.pop(subscription, None)
        if not sockets:
            del self._sockets[subscription.org_id]

    def _heard(self, _key: str, data: dict[str, Any]) -> None:
        if data["event"] != "delta" or data["orgId"] not in self._sockets or not data["messageId"]:
            return
        frame = b""
        for subscription, sink in list(self._sockets[data["orgId"]].items()):
            if sink.can_send and not sink.is_behind and subscription.wants_live(TYPE, data):
                frame = frame or wire(_event(data))
                sink.write_frames(frame)


def _event(data: dict[str, Any]) -> dict[str, Any]:
    shown = {name: data[name] for name in ("messageId", "sessionId", "content", "offset")}
    return {"type": "event", "eventType": TYPE, "timestamp": round(time.time() * 1000), "data": shown}


deltas = Deltas()
