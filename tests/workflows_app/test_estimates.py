"""How long a workflow is said to take before it has run."""

import pytest

from workflows_app.estimates import STEP_MS, estimated_duration
from workflows_app.template_store import find

from .working import Runs, agent, step

pytestmark = pytest.mark.django_db


@pytest.fixture
def runs(alice):
    return Runs(alice)


def estimate(runs, *steps):
    return estimated_duration(runs.person.org.pk, find(runs.person.org, runs.template(*steps)))


def test_without_a_history_it_is_the_longest_way(runs):
    arms = (agent("join", "left", "right"), step("left", "wait", "a", duration=90_000), agent("right", "a"))
    assert estimate(runs, *arms, agent("a")) == 2 * STEP_MS["agent"] + 90_000


def test_steps_beside_each_other_take_no_longer_than_one(runs):
    assert estimate(runs, agent("a"), agent("b"), agent("c")) == STEP_MS["agent"]
