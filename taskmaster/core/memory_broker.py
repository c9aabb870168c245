"""An in-process broker for Celery that wakes its worker on a Condition, where kombu's own polls once a second."""

import threading
import time
from queue import Empty
from typing import Any

from kombu.transport import memory

_arrived = threading.Condition()
_puts = 0


class Channel(memory.Channel):
    """kombu's in-memory channel, which also tells that something came."""

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        global _puts
        super()._put(queue, message, **kwargs)
        with _arrived:
            _puts += 1
            _arrived.notify_all()


class Transport(memory.Transport):
    """Waits for the Condition instead of the clock."""

    Channel = Channel

    def drain_events(self, connection: Any, timeout: float | None = None) -> None:
        """Deliver one message, waiting up to `timeout` seconds for it."""
        deadline = time.monotonic() + timeout if timeout is not None else None
        while True:
            seen = _puts
            try:
                self.cycle.get(self._deliver, timeout=timeout)
            except Empty:
                left = 1.0 if deadline is None else deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError from None
                with _arrived:
                    _arrived.wait_for(lambda seen=seen: _puts != seen, timeout=min(1.0, left))
            else:
                return
