"""What the API's tests share."""

import pytest

from tests.conftest import Person, person

from .world import World


@pytest.fixture
def world(alice: Person) -> World:
    """Alice's objects."""
    return World(alice)


@pytest.fixture
def dinah(org) -> Person:
    """Alice's colleague, with every scope but `admin`."""
    return person(org, ["read", "write", "agents"])
