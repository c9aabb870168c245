"""Workflows on running processes: to their end, whatever is killed on the way."""

import os
import random
import time
from collections.abc import Iterator

import pytest

from tests.live import SERVICES

from .cast import Cast
from .ledger import all_events
from .twenty import Twenty
from .visits import Visited, visited
from .workflow_races import RACES, Ground, Race

KINDS = ("everything", "worker0", "worker1", "web0", "web1", "beat") if SERVICES else ("everything",)
# How long it takes undisturbed, and until what a dead worker held is taken up again.
LASTS, RECOVERED = 2.0, 60


@pytest.fixture(scope="module")
def web() -> Iterator[Visited]:
    """Whom the `http` steps ask."""
    with visited() as found:
        yield found


def test_twenty_steps_of_every_type_run_to_their_end(cast: Cast, web: Visited) -> None:
    twenty = Twenty(cast, web).start()
    twenty.ended(20)
    twenty.check(all_events(cast))
    (flaky,) = [step for step in twenty.now()["steps"] if step["id"] == "flaky"]
    assert [(a["number"], a["status"]) for a in flaky["attempts"]] == [(1, "failed"), (2, "completed")]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_racing(cast: Cast, race: Race) -> None:
    race(Ground(cast))


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_racing_again_and_again(cast: Cast, race: Race) -> None:
    ground = Ground(cast)
    for _ in range(int(os.environ.get("SOAK_ROUNDS", "20")) * 10):
        race(ground)


def rounds(cast: Cast, web: Visited, kinds: list[str], dice: random.Random) -> None:
    """At some moment of each run something is killed, and started again."""
    for kind in kinds:
        twenty = Twenty(cast, web).start()
        time.sleep(dice.uniform(0, LASTS))
        cast.live.kill_all(*(() if kind == "everything" else (kind,)))
        cast.live.start()
        twenty.ended(RECOVERED)
        twenty.check(all_events(cast))


def test_a_kill_loses_nothing_and_repeats_nothing(cast: Cast, web: Visited) -> None:
    rounds(cast, web, ["everything"], random.Random(1))


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_fifty_kills_lose_nothing_and_repeat_nothing(cast: Cast, web: Visited) -> None:
    count = int(os.environ.get("SOAK_ROUNDS", "20")) * 5 // 2
    dice = random.Random(count)
    rounds(cast, web, [dice.choice(KINDS) for _ in range(count)], dice)
