"""Work that follows from work: the worker that ends a task takes the next one in the same transaction.

No wake-up, no claim of its own and no commit in between. It is an offer and no right: where the agent is busy, others
wait for it, or somebody else is about to hand out its work, the new task queues like any other.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from django.db import transaction

from .models import Task


@dataclass(slots=True)
class Place:
    """A worker's place that is about to be free: `lease` gives it the task, `begin` starts it after the commit."""

    lease: Callable[[Task], bool]
    begin: Callable[[Task], None]
    taken: bool = False


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


def takes(task: Task) -> bool:
    """Whether the place that is offered here, if one is, takes a task that has just been stored."""
    place = _here.place
    if place is None or place.taken or not place.lease(task):
        return False
    place.taken = True
    # What cannot begin after all has a lease that runs out.
    transaction.on_commit(partial(place.begin, task), robust=True)
    return True
