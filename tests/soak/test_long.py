"""The long versions of the fuzzing and the races: `make soak`, `SOAK_ROUNDS` rounds (20)."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.agents_app import test_tasks_leases as races
from tests.api import test_bodies as bodies
from tests.api.routes import WRITES
from tests.api.test_routes import routes
from tests.api.world import World

ROUNDS = int(os.environ.get("SOAK_ROUNDS", "20"))
PATIENT = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
RACES = [
    races.test_racing_claims_never_take_a_task_twice_nor_too_many,
    races.test_racing_claims_of_several_agents_keep_the_sessions_limit,
    races.test_a_claim_racing_a_cancel_leaves_one_winner,
    races.test_ends_at_once_have_one_winner,
]

pytestmark = pytest.mark.soak


@pytest.fixture
def world(alice):
    return World(alice)


@pytest.mark.django_db
@routes(WRITES)
@settings(max_examples=ROUNDS * 15, derandomize=True, deadline=None, database=None, suppress_health_check=PATIENT)
@given(data=st.data())
def test_bodies_of_all_shapes(route, alice, data):
    bodies.test_whatever_is_sent_is_answered_in_the_envelope.hypothesis.inner_test(route, alice, data)


@pytest.mark.django_db
@routes(WRITES)
@settings(max_examples=ROUNDS * 15, derandomize=True, deadline=None, database=None, suppress_health_check=PATIENT)
@given(raw=st.binary(max_size=200))
def test_noise_of_all_lengths(route, alice, raw):
    bodies.test_noise_is_answered_in_the_envelope.hypothesis.inner_test(route, alice, raw)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
@pytest.mark.parametrize("number", range(ROUNDS))
def test_races(alice, world, race, number):
    race(alice, world)
