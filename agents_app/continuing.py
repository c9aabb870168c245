"""Work that follows from work: the worker that ends a task takes the next one in the same transaction.

No wake-up, no claim of its own and no commit in between. It is an offer and no right: where the agent has no place left
for it and for all that waits, or somebody else is about to hand out its work, the new task queues like any other.

It can wait for nobody: it holds a task, and the workflow that it belongs to, when it looks at an agent, and claims hold
an agent when they take tasks. So it passes by an agent whose row is held.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.db import transaction

from taskmaster.core.prepared import Asked, ask

from . import leases
from .models import Agent, Task


@dataclass(slots=True)
class Place:
    """A worker's place that `instead` of a task that ends another may have, if `ready` says that it can run here.

    `begin` starts it after the commit.
    """

    worker_id: str
    instead: Task
    ready: Callable[[Agent], bool]
    begin: Callable[[Task], None]
    taken: bool = False
    # Whether others wait for the agent: somebody has to hand out their work.
    others: bool = False
    _known: dict[str, list[list[Any]]] = field(default_factory=dict)

    def questions(self) -> tuple[Asked, ...]:
        """What has to be known if the next task is for the same agent: to be asked with whatever else is asked."""
        return leases.before_taking(self.instead.agent_id, instead=True)

    def know(self, rows: list[list[Any]]) -> None:
        """The answers."""
        self._known[self.instead.agent_id] = rows

    def take(self, task: Task) -> bool:
        """Have the task, which is not stored yet, if that may be."""
        if not self.taken:
            same = task.agent_id == self.instead.agent_id
            known = self._known.get(task.agent_id) or ask(*leases.before_taking(task.agent_id, instead=same))
            self.taken = leases.take(task, self.worker_id, known, ready=self.ready)
            self.others = bool(known[-1])
            return self.taken
        return False


class _Here(threading.local):
    place: Place | None = None


_here = _Here()


@contextmanager
def offered(place: Place | None) -> Iterator[None]:
    """Offer a place to the first task that is submitted inside, in this thread."""
    _here.place = place
    try:
        yield
    finally:
        _here.place = None


def place() -> Place | None:
    """What is offered here and has not been taken."""
    return _here.place if _here.place and not _here.place.taken else None


def begin(task: Task) -> None:
    """Tell that the task has been taken, and start it after the commit."""
    assert _here.place
    leases.tell_of_start(task)
    # What cannot begin after all has a lease that runs out.
    transaction.on_commit(partial(_here.place.begin, task), robust=True)
