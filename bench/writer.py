"""Writes events as the product does: `python -m bench.writer PATH` beside it, `… PATH serve` in its own process.

What is to be written comes over a Unix socket at PATH. Embedded, whoever writes events is a thread of the one process,
and so is this; with services it is a process of its own, with its own relay as each of them has.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Listener
from typing import Any

import django

from .news import KIND, data

Json = dict[str, Any]


def talk(path: str) -> None:
    """Do what is asked for, whoever asks."""
    with Listener(path, "AF_UNIX") as listener:
        while True:
            with listener.accept() as asker:
                _answer(asker)


def _answer(asker: Any) -> None:
    jobs: dict[str, Callable[..., Json]] = {"burst": burst, "steady": steady}
    try:
        while True:
            job = asker.recv()
            asker.send(jobs[job.pop("job")](**job))
    except EOFError:
        return


def burst(org: str, count: int, together: int, kind: str = KIND) -> Json:
    """Write events as fast as can be, so many in each transaction; when that began and ended."""
    begun = time.monotonic()
    for start in range(0, count, together):
        _write(org, range(start, min(count, start + together)), kind)
    return {"begun": begun, "ended": time.monotonic()}


def steady(org: str, count: int, rate: float) -> Json:
    """Write one event after the other, so many a second; when each was committed."""
    sent: list[float] = []
    begun = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, begun + number / rate - time.monotonic()))
        _write(org, range(number, number + 1), KIND, sent)
    return {"sent": sent}


def _write(org: str, numbers: range, kind: str, sent: list[float] | None = None) -> None:
    from django.db import transaction

    from taskmaster.events.log import record

    with transaction.atomic():
        if sent is not None:
            transaction.on_commit(partial(_note, sent))
        record(org, *[(kind, data(number)) for number in numbers])


def _note(sent: list[float]) -> None:
    sent.append(time.monotonic())


def main() -> None:
    """Write beside the product, or in it."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "taskmaster.settings"
    path, *command = sys.argv[1:]
    if command:
        from django.core.management import execute_from_command_line

        # Nobody asks before the product answers, and only then is anything of it needed here.
        threading.Thread(target=talk, args=[path], daemon=True).start()
        return execute_from_command_line(["manage.py", *command])
    django.setup()
    from taskmaster.events.relay import relay

    relay.start_once()
    return talk(path)


if __name__ == "__main__":
    main()
