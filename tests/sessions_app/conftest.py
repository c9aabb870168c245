"""A session with an echo agent, and what is said in it."""

import pytest

from tests.api.world import World


@pytest.fixture
def world(alice):
    """Alice's objects."""
    return World(alice)
