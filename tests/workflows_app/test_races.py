"""The races, ten times each; `tests/soak` runs them many times."""

import pytest

from .races import RACES, clear
from .storm import Storm
from .working import Runs

TIMES = 5


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_racing(alice, race):
    runs = Runs(alice)
    for _ in range(TIMES):
        race(runs)
        clear()


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_for_ever(alice):
    Storm(Runs(alice), seed=1).run(40)
