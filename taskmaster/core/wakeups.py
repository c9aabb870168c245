"""Wake-ups between processes: small signals that say "look at the database", carried by the channel layer.

A signal may be lost (a Redis restart); whoever listens also looks by itself now and then. Nothing is ever stored here.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from channels.layers import get_channel_layer
from django.db import transaction

logger = logging.getLogger(__name__)

GROUP = "taskmaster.wakeups"
# A listener that comes a moment after its signal still finds it here.
REMEMBERED_SECONDS = 5.0
REMEMBERED_SIGNALS = 20_000
# While the layer hangs, the oldest signals give way.
WAITING_SIGNALS = 100_000
SENT_TOGETHER = 500
RESTART_SECONDS = 1.0
# The in-memory layer forgets a member of a group after a day, or when the loop was held up for a minute.
REJOIN_SECONDS = 60.0

Signal = tuple[str, Any]
Listener = Callable[[Any], None]
PrefixListener = Callable[[str, Any], None]


class Hub:
    """This process's end of the wake-ups. Listeners are called in the hub's event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._own: asyncio.AbstractEventLoop | None = None
        self._receiver: Future[None] | None = None
        self._outbox: deque[Signal] = deque(maxlen=WAITING_SIGNALS)
        # The loop in which somebody is about to empty the outbox, or at it.
        self._sending_in: asyncio.AbstractEventLoop | None = None
        self._sender: asyncio.Task[None] | None = None
        self._listeners: defaultdict[str, list[Listener]] = defaultdict(list)
        self._prefixed: list[tuple[str, PrefixListener]] = []
        self._recent: OrderedDict[int, tuple[float, str, Any]] = OrderedDict()
        self._recent_of: defaultdict[str, deque[int]] = defaultdict(deque)
        self._count = 0

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Live in `loop` and receive there, instead of in a thread of its own."""
        with self._lock:
            self._leave_loop()
            self._enter_loop(loop)
            self._send_soon()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The hub's loop: the one it was bound to, else a thread of its own made now."""
        with self._lock:
            return self._living_loop()

    def send(self, key: str, data: Any = None) -> None:
        """Tell every process, from any thread and without waiting. Signals sent close together travel together."""
        with self._lock:
            self._outbox.append((key, data))
            self._send_soon()

    def send_on_commit(self, key: str, data: Any = None) -> None:
        """Tell every process once the current transaction has committed."""
        transaction.on_commit(lambda: self.send(key, data))

    def listen(self, key: str, listener: Listener, *, since: float = 0.0) -> None:
        """Call `listener` with the data of each signal of `key`, beginning with those of the last seconds (in loop).

        `since`, by the monotonic clock, leaves out those before it.
        """
        oldest = max(since, time.monotonic() - REMEMBERED_SECONDS)
        for number in list(self._recent_of.get(key, ())):
            moment, _, data = self._recent[number]
            if moment >= oldest:
                listener(data)
        self._listeners[key].append(listener)

    def heard_since(self, key: str, moment: float) -> bool:
        """Whether a signal of `key` has come since then, by the monotonic clock, and is remembered (in loop)."""
        return any(self._recent[number][0] >= moment for number in self._recent_of.get(key, ()))

    def unlisten(self, key: str, listener: Listener) -> None:
        """End a `listen` (in loop)."""
        with contextlib.suppress(ValueError):
            self._listeners[key].remove(listener)
        if not self._listeners[key]:
            del self._listeners[key]

    def listen_from(self, key: str, listener: Listener) -> None:
        """`listen`, from any thread."""
        self.loop.call_soon_threadsafe(self.listen, key, listener)

    def unlisten_from(self, key: str, listener: Listener) -> None:
        """`unlisten`, from any thread."""
        self.loop.call_soon_threadsafe(self.unlisten, key, listener)

    def listen_prefix(self, prefix: str, listener: PrefixListener) -> None:
        """Call `listener(key, data)` for every signal whose key begins with `prefix`, from any thread."""
        self._prefixed.append((prefix, listener))
        # A process that never sends has to receive too.
        with self._lock:
            self._living_loop()

    def hear(self, signals: list[list[Any]]) -> None:
        """Take signals as they arrive (in loop)."""
        moment = time.monotonic()
        for key, data in signals:
            self._remember(moment, key, data)
            for listener in list(self._listeners.get(key, ())):
                _call(key, listener, data)
            for prefix, prefixed in self._prefixed:
                if key.startswith(prefix):
                    _call(key, prefixed, key, data)

    def _remember(self, moment: float, key: str, data: Any) -> None:
        self._count += 1
        self._recent[self._count] = (moment, key, data)
        self._recent_of[key].append(self._count)
        while self._recent and (
            len(self._recent) > REMEMBERED_SIGNALS or next(iter(self._recent.values()))[0] < moment - REMEMBERED_SECONDS
        ):
            _, (_, old, _) = self._recent.popitem(last=False)
            self._recent_of[old].popleft()
            if not self._recent_of[old]:
                del self._recent_of[old]

    # What follows is called with the lock held.

    def _living_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None or self._loop.is_closed():
            self._own = asyncio.new_event_loop()
            threading.Thread(target=_run, args=[self._own], name="wakeups", daemon=True).start()
            self._enter_loop(self._own)
            return self._own
        return self._loop

    def _enter_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._receiver = asyncio.run_coroutine_threadsafe(self._receive_for_ever(), loop)

    def _leave_loop(self) -> None:
        if self._receiver is not None and self._loop is not None and not self._loop.is_closed():
            self._receiver.cancel()
        if self._own is not None:
            # Not at once: the receiver leaves the group first.
            self._own.call_soon_threadsafe(self._own.call_later, RESTART_SECONDS, self._own.stop)
            self._own = None

    def _send_soon(self) -> None:
        loop = self._living_loop()
        # A loop that was closed took with it what was scheduled in it.
        if not self._outbox or self._sending_in is loop:
            return
        with contextlib.suppress(RuntimeError):  # Closed since: the next signal takes this one along.
            loop.call_soon_threadsafe(self._start_sender, loop)
            self._sending_in = loop

    # What follows runs in the loop.

    def _start_sender(self, loop: asyncio.AbstractEventLoop) -> None:
        self._sender = loop.create_task(self._send_all(loop))

    async def _send_all(self, loop: asyncio.AbstractEventLoop) -> None:
        """Empty the outbox: one message at a time, so that the signals of a key arrive in the order they were sent."""
        layer = get_channel_layer()
        try:
            while signals := self._next_signals(loop):
                try:
                    await _send(layer, signals)
                except Exception as error:
                    logger.warning("%d wake-ups not sent: %s", len(signals), type(error).__name__)
        except asyncio.CancelledError:
            with self._lock:
                self._sending_in = None
            raise

    def _next_signals(self, loop: asyncio.AbstractEventLoop) -> list[Signal]:
        with self._lock:
            if self._sending_in is not loop:
                return []
            if not self._outbox:
                self._sending_in = None
            return [self._outbox.popleft() for _ in range(min(SENT_TOGETHER, len(self._outbox)))]

    async def _receive_for_ever(self) -> None:
        while True:
            try:
                await self._receive()
            except Exception as error:
                logger.warning("wake-ups interrupted: %s", type(error).__name__)
                await asyncio.sleep(RESTART_SECONDS)

    async def _receive(self) -> None:
        layer = get_channel_layer()
        channel = await layer.new_channel()
        rejoining = asyncio.ensure_future(_join_for_ever(layer, channel))
        try:
            await layer.group_add(GROUP, channel)
            while True:
                message = await layer.receive(channel)
                self.hear(message["signals"])
        except (Exception, asyncio.CancelledError):
            rejoining.cancel()
            # Otherwise the layer keeps for a channel what nobody reads any more.
            with contextlib.suppress(Exception):
                await layer.group_discard(GROUP, channel)
            raise


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.close()


async def _send(layer: Any, signals: list[Signal]) -> None:
    try:
        await layer.group_send(GROUP, {"type": "wakeups", "signals": [list(signal) for signal in signals]})
    except (TypeError, ValueError, OverflowError):
        # One that cannot be written down (half of a surrogate pair, say) must not take the others with it.
        if len(signals) == 1:
            raise
        for signal in signals:
            with contextlib.suppress(TypeError, ValueError, OverflowError):
                await _send(layer, [signal])


async def _join_for_ever(layer: Any, channel: str) -> None:
    while True:
        await asyncio.sleep(REJOIN_SECONDS)
        with contextlib.suppress(Exception):
            await layer.group_add(GROUP, channel)


def _call(key: str, listener: Callable[..., None], *args: Any) -> None:
    try:
        listener(*args)
    except Exception:
        logger.exception("a listener to %s failed", key.partition(":")[0])


hub = Hub()
