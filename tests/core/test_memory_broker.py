"""The in-process broker with a real worker: everything runs once, at once, and an idle worker costs nothing."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu import Connection, Exchange, Queue
from kombu.transport import memory

from taskmaster.core import memory_broker
from taskmaster.core.memory_broker import Transport

# A process of its own, since a worker cannot be taken out of one again. It says what it measured.
WORKER = """
import json, resource, sys, threading, time
from collections import Counter

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

TRANSPORT_ALIASES["in-process"] = "taskmaster.core.memory_broker:Transport"
app = Celery("broker-test", broker="in-process://localhost/", set_as_current=False)
app.conf.update(
    task_default_queue="agents", task_ignore_result=True, task_acks_late=True, worker_prefetch_multiplier=4,
    worker_hijack_root_logger=False, worker_redirect_stdouts=False, worker_send_task_events=False,
)
ran, came, lock = Counter(), {}, threading.Lock()

@app.task(name="work")
def work(number):
    with lock:
        ran[number] += 1
        came[number] = time.monotonic()

def until(look, seconds):
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            sys.exit("not in time: %d of the tasks ran" % sum(ran.values()))
        time.sleep(0.001)

def processor():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

worker = app.WorkController(
    app=app, pool="threads", concurrency=4, queues=["agents"],
    without_mingle=True, without_gossip=True, without_heartbeat=True, loglevel=None,
)
ended = threading.Thread(target=worker.start, daemon=True)
ended.start()
work.delay("first")
until(lambda: ran["first"], 20)
measured = {}

# Many at once, from several threads; far more than the worker fetches at a time.
begun = time.monotonic()
def send(first):
    for number in range(first, first + 75):
        work.delay(number)

senders = [threading.Thread(target=send, args=[first]) for first in range(0, 300, 75)]
[sender.start() for sender in senders]
[sender.join() for sender in senders]
until(lambda: sum(ran.values()) >= 301, 20)
measured["burst"] = time.monotonic() - begun
time.sleep(0.2)
measured["once"] = ran == Counter(["first", *range(300)])
consumer = worker.consumer.task_consumer.channel
measured["unacknowledged"] = len(consumer.qos._delivered) - len(consumer.qos._dirty)
measured["queued"] = consumer._size("agents")
measured["connections"] = len(app.pool._resource.queue) + len(app.pool._dirty)

used, begun = processor(), time.monotonic()
time.sleep(float(sys.argv[1]))
measured["idle"] = (processor() - used) / (time.monotonic() - begun)

measured["wakes"] = []
for number in range(1000, 1010):
    time.sleep(0.05)
    sent = time.monotonic()
    work.delay(number)
    until(lambda: number in came, 5)
    measured["wakes"].append(came[number] - sent)

begun = time.monotonic()
worker.stop(in_sighandler=False)
ended.join(10)
measured["stopping"] = time.monotonic() - begun
measured["stopped"] = not ended.is_alive()
print(json.dumps(measured))
"""

IDLE_SECONDS = 2.0


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", WORKER, str(IDLE_SECONDS)]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def test_tasks_from_several_threads_run_exactly_once(measured: dict[str, Any]) -> None:
    assert measured["once"]


def test_a_backlog_is_worked_off_without_pauses(measured: dict[str, Any]) -> None:
    """300 tasks are 19 times what is fetched at once: whoever slept with each fill would need longer."""
    assert measured["burst"] < 5


def test_nothing_is_left_behind(measured: dict[str, Any]) -> None:
    assert (measured["queued"], measured["unacknowledged"]) == (0, 0)
    assert measured["connections"] <= 10


def test_an_idle_worker_wakes_at_once(measured: dict[str, Any]) -> None:
    assert sorted(measured["wakes"])[5] < 0.1


def test_an_idle_worker_costs_nothing(measured: dict[str, Any]) -> None:
    assert measured["idle"] < 0.1


def test_a_worker_stops_soon(measured: dict[str, Any]) -> None:
    assert measured["stopped"]
    assert measured["stopping"] < 5


EXCHANGE = Exchange("test-broker", type="direct")


class Broker:
    """Connections to one queue of its own."""

    def __init__(self, name: str) -> None:
        self.queue = Queue(name, EXCHANGE, routing_key=name)

    def connect(self) -> Connection:
        return Connection("in-process://localhost/")

    def put(self, connection: Connection, body: Any) -> None:
        with connection.Producer() as producer:
            producer.publish(body, exchange=EXCHANGE, routing_key=self.queue.name, declare=[self.queue])

    def taken(self, connection: Connection) -> list[Any]:
        """All that is there."""
        bound = self.queue(connection.default_channel)
        bound.declare()
        found = []
        while message := bound.get(no_ack=True):
            found.append(message.payload)
        return found


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> Broker:
    import taskmaster.celery  # noqa: F401  (names the transport)

    return Broker(request.node.name)


def test_a_producer_that_closes_its_connection_takes_no_message_with_it(broker: Broker) -> None:
    with broker.connect() as reader:
        for number in range(5):
            with broker.connect() as writer:
                broker.put(writer, number)
        assert broker.taken(reader) == [0, 1, 2, 3, 4]
        with broker.connect() as writer:
            broker.put(writer, 5)
        assert broker.taken(reader) == [5]


def test_threads_that_declare_and_send_at_the_same_time_lose_nothing(broker: Broker) -> None:
    """The first to send declares the exchange, the queue and the binding; here eight are the first."""
    for attempt in range(20):
        fresh = Broker(f"{broker.queue.name}-{attempt}")
        fresh.queue = Queue(fresh.queue.name, Exchange(fresh.queue.name), routing_key=fresh.queue.name)
        together = threading.Barrier(8)

        def send(number: int, fresh: Broker = fresh, together: threading.Barrier = together) -> None:
            with fresh.connect() as connection, connection.Producer() as producer:
                together.wait(10)
                exchange = fresh.queue.exchange
                producer.publish(number, exchange=exchange, routing_key=fresh.queue.name, declare=[fresh.queue])

        threads = [threading.Thread(target=send, args=[number]) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        with fresh.connect() as connection:
            assert sorted(fresh.taken(connection)) == list(range(8))


def test_racing_threads_get_one_and_the_same_queue(monkeypatch: pytest.MonkeyPatch, broker: Broker) -> None:
    """Whatever happens between looking for a queue and making it."""
    with broker.connect() as connection:
        channel = connection.channel()

        class Slow(memory_broker.Queue):  # type: ignore[type-arg, name-defined, misc]
            def __init__(self) -> None:
                time.sleep(0.05)
                super().__init__()

        for module in (memory, memory_broker):
            monkeypatch.setattr(module, "Queue", Slow)
        names = [threading.Thread(target=channel._put, args=[broker.queue.name, number]) for number in range(4)]
        for thread in names:
            thread.start()
        for thread in names:
            thread.join(5)
        assert channel._size(broker.queue.name) == 4


def test_waiting_ends_with_a_timeout(broker: Broker) -> None:
    with broker.connect() as connection, connection.Consumer(broker.queue, callbacks=[lambda *_: None]):
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.1)
        assert 0.1 <= time.monotonic() - begun < 0.5


def test_a_message_that_comes_while_nobody_looks_is_found(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between finding nothing and going to sleep."""
    heard: list[Any] = []
    with (
        broker.connect() as writer,
        broker.connect() as connection,
        connection.Consumer(broker.queue, callbacks=[lambda body, message: (heard.append(body), message.ack())]),
    ):
        cycle = connection.transport.cycle
        real = cycle.get

        def get(*args: Any, **kwargs: Any) -> Any:
            try:
                return real(*args, **kwargs)
            except Empty:
                monkeypatch.setattr(cycle, "get", real)
                broker.put(writer, "just now")
                raise

        monkeypatch.setattr(cycle, "get", get)
        begun = time.monotonic()
        connection.drain_events(timeout=5)
        assert heard == ["just now"]
        assert time.monotonic() - begun < 0.5


def test_an_acknowledgement_wakes_a_consumer_that_had_its_fill(broker: Broker) -> None:
    held: list[Any] = []
    with (
        broker.connect() as connection,
        connection.Consumer(broker.queue, callbacks=[lambda _, message: held.append(message)], prefetch_count=1),
    ):
        for number in range(2):
            broker.put(connection, number)
        connection.drain_events(timeout=1)
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.05)
        threading.Timer(0.1, held[0].ack).start()
        begun = time.monotonic()
        connection.drain_events(timeout=5)
        assert [message.payload for message in held] == [0, 1]
        assert time.monotonic() - begun < 0.6
        held[1].ack()


def test_waiting_ends_soon_after_the_last_consumer_is_cancelled(broker: Broker) -> None:
    """So that a worker that is told to stop looks up."""
    with broker.connect() as connection, connection.Consumer(broker.queue, callbacks=[lambda *_: None]) as consumer:
        threading.Timer(0.1, consumer.cancel).start()
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=5)
        assert time.monotonic() - begun < 2


def test_acknowledged_messages_do_not_pile_up(broker: Broker) -> None:
    with (
        broker.connect() as connection,
        connection.Consumer(broker.queue, callbacks=[lambda _, message: message.ack()]) as consumer,
    ):
        for number in range(200):
            broker.put(connection, number)
            connection.drain_events(timeout=1)
        assert len(consumer.channel.qos._delivered) <= 1


def test_what_is_sent_here_is_not_kombus_own_in_memory_broker() -> None:
    assert Transport.global_state is not memory.Transport.global_state
    assert Transport.Channel.queues is not memory.Channel.queues
