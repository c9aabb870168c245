"""The long versions of the fuzzing and the races: `make soak`, `SOAK_ROUNDS` rounds (20)."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.agents_app.races import RACES
from tests.api.calls import routes
from tests.api.noise import assert_anything_is_answered, assert_noise_is_answered
from tests.api.routes import WRITES
from tests.api.world import World
from tests.workflows_app.races import RACES as WORKFLOW_RACES
from tests.workflows_app.races import clear
from tests.workflows_app.storm import Storm
from tests.workflows_app.working import Runs

ROUNDS = int(os.environ.get("SOAK_ROUNDS", "20"))
PATIENT = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]

pytestmark = pytest.mark.soak


@pytest.mark.django_db
@routes(WRITES)
@settings(max_examples=ROUNDS * 15, derandomize=True, deadline=None, database=None, suppress_health_check=PATIENT)
@given(data=st.data())
def test_bodies_of_all_shapes(route, alice, data):
    assert_anything_is_answered(route, alice, data)


@pytest.mark.django_db
@routes(WRITES)
@settings(max_examples=ROUNDS * 15, derandomize=True, deadline=None, database=None, suppress_health_check=PATIENT)
@given(raw=st.binary(max_size=200))
def test_noise_of_all_lengths(route, alice, raw):
    assert_noise_is_answered(route, alice, raw)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
@pytest.mark.parametrize("number", range(ROUNDS))
def test_races(alice, race, number):
    race(alice, World(alice))


@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("race", WORKFLOW_RACES, ids=lambda race: race.__name__)
def test_races_of_workflows(alice, race):
    runs = Runs(alice)
    for _ in range(ROUNDS * 10):
        race(runs)
        clear()


@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("number", range(ROUNDS))
def test_storms(alice, number):
    Storm(Runs(alice), seed=number).run(100)
