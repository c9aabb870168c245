"""An in-process broker for Celery that wakes its worker on a Condition, where kombu's own looks once a second.

Register it as `kombu.transport.TRANSPORT_ALIASES["in-process"] = "taskmaster.core.memory_broker:Transport"` and
connect to `in-process://localhost/`. What it holds dies with the process.
"""

import threading
import time
from collections import defaultdict
from queue import Empty, Queue
from typing import Any

from kombu.transport import memory, virtual

# kombu declares by looking and then writing: two threads at once would lose one's bindings, and its messages with them.
_declaring = threading.RLock()


class _News:
    """Counts what happened, so that nobody sleeps through what came between looking and waiting."""

    def __init__(self) -> None:
        self._told = threading.Condition()
        self.count = 0

    def tell(self) -> None:
        """Have every consumer of this process look again."""
        with self._told:
            self.count += 1
            self._told.notify_all()

    def wait(self, seen: int, deadline: float | None) -> None:
        """Wait until there is more than was `seen`. Raises TimeoutError at the deadline."""
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        with self._told:
            if not self._told.wait_for(lambda: self.count != seen, timeout=left):
                raise TimeoutError


_news = _News()
wake = _news.tell


class QoS(virtual.QoS):
    """An acknowledgement makes room under the prefetch limit, which is news to a consumer that had none left."""

    def ack(self, delivery_tag: str) -> None:
        """Done with it."""
        super().ack(delivery_tag)
        wake()

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Not done with it; `requeue` gives it back to its queue."""
        super().reject(delivery_tag, requeue=requeue)
        wake()


class Channel(memory.Channel):
    """kombu's in-memory channel, which also tells that something came, and whose declarations take turns."""

    QoS = QoS
    connection: Any
    queues: dict[str, "Queue[Any]"] = {}
    events: defaultdict[str, set[Any]] = defaultdict(set)

    def _new_queue(self, queue: str, **kwargs: Any) -> None:
        self._queue_for(queue)

    def _queue_for(self, queue: str) -> "Queue[Any]":
        return self.queues.setdefault(queue, Queue())

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        super()._put(queue, message, **kwargs)
        wake()

    def _put_fanout(self, exchange: str, message: Any, routing_key: str | None = None, **kwargs: Any) -> None:
        super()._put_fanout(exchange, message, routing_key, **kwargs)
        wake()

    def exchange_declare(self, *args: Any, **kwargs: Any) -> None:
        """Declare an exchange."""
        with _declaring:
            super().exchange_declare(*args, **kwargs)

    def queue_bind(self, *args: Any, **kwargs: Any) -> None:
        """Bind a queue to an exchange."""
        with _declaring:
            super().queue_bind(*args, **kwargs)

    def basic_cancel(self, consumer_tag: str) -> None:
        """End a consumer, and let its worker look whether it is to stop."""
        super().basic_cancel(consumer_tag)
        if self.connection is not None:  # Closing the channel has cancelled it already.
            self.connection.cancelled = True
            wake()


class Transport(memory.Transport):
    """Waits for the Condition instead of the clock."""

    Channel = Channel
    # Not kombu's: what is sent through `memory://` would wake nobody here.
    global_state = virtual.BrokerState()
    cycle: Any
    cancelled = False

    def drain_events(self, connection: Any, timeout: float | None = None, **kwargs: Any) -> None:
        """Deliver one message, waiting up to `timeout` seconds for it. Raises TimeoutError, early after a cancel."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            seen = _news.count
            try:
                self.cycle.get(self._deliver, timeout=timeout)
            except Empty:
                if self.cancelled:
                    self.cancelled = False
                    raise TimeoutError from None
                _news.wait(seen, deadline)
            else:
                return
