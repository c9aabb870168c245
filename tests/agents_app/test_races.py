"""The races, once each; `tests/soak` runs them many times."""

import pytest

from tests.api.world import World

from .races import RACES


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_racing(alice, race):
    race(alice, World(alice))
