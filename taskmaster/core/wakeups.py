"""Wake-ups between processes: small signals that say "look at the database", carried by the channel layer.

A signal may be lost (a Redis restart); whoever listens also looks by itself now and then. Nothing is ever stored here.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any

from channels.layers import get_channel_layer
from django.db import transaction

logger = logging.getLogger(__name__)

GROUP = "taskmaster.wakeups"
# A listener that comes a moment after its signal still finds it here.
REMEMBERED_SECONDS = 5.0
REMEMBERED_SIGNALS = 20_000

Listener = Callable[[Any], None]


class Hub:
    """This process's end of the wake-ups. Listeners are called in the hub's event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._outbox: list[tuple[str, Any]] = []
        self._listeners: defaultdict[str, list[Listener]] = defaultdict(list)
        self._prefixed: list[tuple[str, Callable[[str, Any], None]]] = []
        self._recent: OrderedDict[int, tuple[float, str, Any]] = OrderedDict()
        self._recent_of: defaultdict[str, list[int]] = defaultdict(list)
        self._count = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Live in `loop` and receive there. Call it once, before the first signal."""
        with self._lock:
            self._loop = loop
        asyncio.run_coroutine_threadsafe(self._receive_for_ever(), loop)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The hub's loop: the one it was bound to, else a thread of its own made now."""
        with self._lock:
            if self._loop is None or self._loop.is_closed():
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="wakeups", daemon=True).start()
                asyncio.run_coroutine_threadsafe(self._receive_for_ever(), self._loop)
            return self._loop

    def send(self, key: str, data: Any = None) -> None:
        """Tell every process, from any thread and without waiting. Signals sent close together travel together."""
        with self._lock:
            self._outbox.append((key, data))
            if len(self._outbox) > 1:
                return
        self.loop.call_soon_threadsafe(self._flush)

    def send_on_commit(self, key: str, data: Any = None) -> None:
        """Tell every process once the current transaction has committed."""
        transaction.on_commit(lambda: self.send(key, data))

    def listen(self, key: str, listener: Listener) -> None:
        """Call `listener` with the data of each signal of `key`, beginning with those of the last seconds (in loop)."""
        for number in list(self._recent_of.get(key, ())):
            listener(self._recent[number][2])
        self._listeners[key].append(listener)

    def unlisten(self, key: str, listener: Listener) -> None:
        """End a `listen` (in loop)."""
        with contextlib.suppress(ValueError):
            self._listeners[key].remove(listener)
        if not self._listeners[key]:
            del self._listeners[key]

    def listen_prefix(self, prefix: str, listener: Callable[[str, Any], None]) -> None:
        """Call `listener(key, data)` for every signal whose key begins with `prefix`."""
        self._prefixed.append((prefix, listener))

    def keys(self, prefix: str) -> list[str]:
        """The keys with that prefix that somebody listens to (in loop)."""
        return [key for key in self._listeners if key.startswith(prefix)]

    def hear(self, signals: list[list[Any]]) -> None:
        """Take signals as they arrive (in loop)."""
        moment = time.monotonic()
        for key, data in signals:
            self._remember(moment, key, data)
            for listener in list(self._listeners.get(key, ())):
                listener(data)
            for prefix, prefixed in self._prefixed:
                if key.startswith(prefix):
                    prefixed(key, data)

    def _remember(self, moment: float, key: str, data: Any) -> None:
        self._count += 1
        self._recent[self._count] = (moment, key, data)
        self._recent_of[key].append(self._count)
        while self._recent and (
            len(self._recent) > REMEMBERED_SIGNALS or next(iter(self._recent.values()))[0] < moment - REMEMBERED_SECONDS
        ):
            number, (_, old, _) = self._recent.popitem(last=False)
            self._recent_of[old].remove(number)
            if not self._recent_of[old]:
                del self._recent_of[old]

    def _flush(self) -> None:
        task = self.loop.create_task(self._send_outbox())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_outbox(self) -> None:
        with self._lock:
            signals, self._outbox = self._outbox, []
        layer = get_channel_layer()
        try:
            await layer.group_send(GROUP, {"type": "wakeups", "signals": [list(signal) for signal in signals]})
        except Exception as error:
            logger.warning("%d wake-ups not sent: %s", len(signals), type(error).__name__)

    async def _receive_for_ever(self) -> None:
        layer = get_channel_layer()
        while True:
            try:
                channel = await layer.new_channel()
                await layer.group_add(GROUP, channel)
                while True:
                    message = await layer.receive(channel)
                    self.hear(message["signals"])
            except Exception as error:
                logger.warning("wake-ups interrupted: %s", type(error).__name__)
                await asyncio.sleep(1)


hub = Hub()
