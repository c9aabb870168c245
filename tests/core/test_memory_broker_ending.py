"""How waiting for the in-process broker's messages ends, and how several queues share it."""

import threading
import time
from typing import Any

import pytest
from kombu import Connection, Queue

from taskmaster.core.memory_broker import Transport


def connect() -> Connection:
    return Connection(transport=Transport)


def test_a_cancelled_consumer_does_not_wait_for_its_timeout() -> None:
    """A worker that stops cancels its consumers from another thread, and is then waited for."""
    with connect() as connection:
        consumer = connection.Consumer(Queue("ending"), callbacks=[lambda *_: None])
        consumer.consume()
        begun = time.monotonic()
        threading.Timer(0.1, consumer.cancel).start()
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=10)
        assert time.monotonic() - begun < 5
        # It ends one wait, not every later one: that would be a busy loop.
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.2)
        assert time.monotonic() - begun >= 0.2


def test_one_consumer_hears_of_several_queues_from_other_threads() -> None:
    heard: list[Any] = []
    queues = [Queue("ending-one"), Queue("ending-two")]

    def send(queue: Queue) -> None:
        with connect() as connection, connection.Producer() as producer:
            for number in range(20):
                producer.publish([queue.name, number], routing_key=queue.name)

    with (
        connect() as connection,
        connection.Consumer(queues, callbacks=[lambda body, _: heard.append(body)], no_ack=True),
    ):
        threads = [threading.Thread(target=send, args=[queue]) for queue in queues]
        for thread in threads:
            thread.start()
        for _ in range(40):
            connection.drain_events(timeout=5)
        for thread in threads:
            thread.join(5)
    for queue in queues:
        assert [number for name, number in heard if name == queue.name] == list(range(20))
