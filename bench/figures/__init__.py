"""Which name means which figure: one table."""

from collections.abc import Callable, Iterator
from pathlib import Path

from bench.result import Result
from bench.sizes import Size

from . import client, dispatch, lists, memory, message, runner, sockets, status, submit, task, waiting, workflow

Figure = Callable[[Path, Size], Iterator[Result]]

FIGURES: dict[str, Figure] = {
    "client": client.measure,
    "status": status.measure,
    "submit": submit.measure,
    "message": message.measure,
    "task": task.measure,
    "runner": runner.measure,
    "dispatch": dispatch.measure,
    "memory": memory.measure,
    "lists": lists.measure,
    "waiting": waiting.measure,
    "workflow": workflow.measure,
    "deliveries": sockets.deliveries,
    "delivery-latency": sockets.latency,
    "socket-memory": sockets.memory,
}
