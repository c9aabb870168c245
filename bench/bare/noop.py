"""Bare Celery with a task that does nothing, on the broker that the product uses in the same profile."""

import os
import sys
import threading
import time
from contextlib import suppress
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import orjson
from celery import Celery, chain
from celery.exceptions import TimeoutError
from kombu.transport import TRANSPORT_ALIASES

from bench.jobs import spread

# By its file: the package around it would bring the product's own Celery application along.
_broker = spec_from_file_location("memory_broker", Path(__file__).parents[2] / "taskmaster/core/memory_broker.py")
assert _broker
assert _broker.loader
sys.modules["memory_broker"] = module_from_spec(_broker)
_broker.loader.exec_module(sys.modules["memory_broker"])
TRANSPORT_ALIASES["in-process"] = "memory_broker:Transport"
REDIS = os.environ.get("BARE_REDIS", "")
QUEUE = os.environ.get("BARE_QUEUE", "bare")
STEPS = 5  # of a chain

app = Celery("bare", broker=REDIS or "in-process://localhost/", backend=REDIS or None)
app.conf.update(
    task_default_queue=QUEUE,
    result_expires=300,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)
# The worker's threads send the rest of a chain.
app.set_default()

_arrived = threading.Condition()
_done: set[str] = set()


@app.task(name="bare.noop", bind=True, ignore_result=not REDIS)
def noop(self: Any) -> None:
    """Nothing."""
    if not REDIS:
        with _arrived:
            _done.add(self.request.id)
            _arrived.notify_all()


def wait(sent: list[Any]) -> None:
    """Until these are done: by Redis' results, or in this process by a Condition."""
    if REDIS:
        for result in sent:
            _get(result)
        return
    with _arrived:
        assert _arrived.wait_for(lambda: all(result.id in _done for result in sent), 60)


def _get(result: Any) -> None:
    """Its backend now and then misses the news of a result that several threads wait for: then it is looked up."""
    for _ in range(60):
        with suppress(TimeoutError):
            result.get(timeout=1)
            return
    raise TimeoutError


def measure(burst: int, single: int) -> dict[str, Any]:
    """A burst of tasks, and tasks one after the other."""
    begun = time.perf_counter()
    wait([noop.apply_async() for _ in range(burst)])
    rate = burst / (time.perf_counter() - begun)
    latencies = []
    for _ in range(single):
        begun = time.perf_counter()
        wait([noop.apply_async()])
        latencies.append(time.perf_counter() - begun)
    return spread(latencies) | {"perSecond": rate}


def chains(clients: int, count: int) -> dict[str, Any]:
    """So many clients, each of which runs chains of five tasks one after the other: how long each chain took."""
    left, latencies = iter(range(count)), []

    def work() -> None:
        for _ in left:
            begun = time.perf_counter()
            wait([chain(noop.si() for _ in range(STEPS)).apply_async()])
            latencies.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    workers = [threading.Thread(target=work) for _ in range(clients)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return spread(latencies) | {"perSecond": count / (time.perf_counter() - begun)}


def main() -> None:
    """Answer lines of `burst single` or `chains clients count`; without Redis the worker runs in here, as ours does."""
    if not REDIS:
        worker = app.WorkController(app=app, pool="threads", concurrency=4, queues=[QUEUE], loglevel=None)
        threading.Thread(target=worker.start, daemon=True).start()
    wait([noop.apply_async()])
    for line in sys.stdin:
        *what, first, second = line.split()
        answer = chains(int(first), int(second)) if what else measure(int(first), int(second))
        sys.stdout.write(orjson.dumps(answer).decode() + "\n")
        sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
