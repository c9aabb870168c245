"""kill -9: nothing that was accepted is lost, and everything ends once."""

import os
import random
import time

import pytest

from tests.live import SERVICES, until

from .cast import Cast
from .ledger import all_events
from .work import Poster, Work

KINDS = ("everything", "worker", "web", "beat") if SERVICES else ("everything",)
# What was begun is taken up again when its lease has run out: at once where no other process can have it.
RECOVERED = 60
STATES = {"queued", "running", "completed", "failed", "cancelled", "retried"}


def kill(cast: Cast, kind: str) -> None:
    """Of that kind everything, and start it again."""
    cast.live.kill_all(*(cast.live.names(kind) if kind != "everything" else ()))
    cast.live.start()


def rounds(cast: Cast, count: int) -> None:
    """Work is posted, something is killed at some moment, the rest is the product's."""
    dice = random.Random(count)
    open_: list[Work] = []
    for number in range(count):
        poster = Poster(cast)
        open_.append(Work(cast).begin())
        if number == 0:
            until(lambda: open_[0].states() >= STATES, 10)
        time.sleep(dice.uniform(0, 0.5) if number else 0)
        kill(cast, "everything" if number % 3 == 0 else dice.choice(KINDS))
        poster.repeat()
        # Who loses its worker again and again is given up in the end, which is not what this is about.
        if number % 3 == 2 or number == count - 1:
            for work in open_:
                work.finish(RECOVERED)
            events = all_events(cast)
            for work in open_:
                work.check(events)
            open_.clear()
        poster.check()


def test_nothing_accepted_is_lost(cast: Cast) -> None:
    rounds(cast, 1)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_nothing_accepted_is_lost_whenever_it_is_killed(cast: Cast) -> None:
    rounds(cast, int(os.environ.get("SOAK_ROUNDS", "20")))
