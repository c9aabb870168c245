"""A worker's places: never more tasks than there are, and never all of them for one organization."""

import pytest

from agents_app.executor import Executor
from agents_app.models import Task
from tests.api.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def executor(settings):
    """One with eight places, in which whatever was claimed is just about to start."""
    settings.MAX_RUNNING = 8
    executor = Executor()
    executor.worker_id = "worker_x"
    yield executor
    executor._pool.shutdown()
    executor._loop.close()


def queued(person, *, agents, each):
    worlds = [World(person) for _ in range(agents)]
    for world in worlds:
        for _ in range(each):
            world.submit()
    return [world.agent for world in worlds]


def running(org):
    return Task.objects.filter(org=org, status="running").count()


def test_what_is_about_to_start_takes_a_place(alice, charlie, executor):
    for agent in queued(alice, agents=4, each=4):
        executor.pull(agent)
    assert running(alice.org) == 6, "three quarters of eight"
    for agent in queued(charlie, agents=2, each=4):
        executor.pull(agent)
    assert running(charlie.org) == 2


def test_a_place_that_was_not_needed_is_free_again(alice, executor):
    agents = queued(alice, agents=6, each=1)
    for agent in [agents[0]] * 5 + agents:
        executor.pull(agent)
    assert running(alice.org) == 6


def test_a_claim_that_breaks_keeps_no_place(alice, executor, monkeypatch):
    agents = queued(alice, agents=6, each=1)
    with monkeypatch.context() as patch:
        patch.setattr("agents_app.leases.claim", lambda *_, **__: 1 / 0)
        for agent in agents:
            with pytest.raises(ZeroDivisionError):
                executor.pull(agent)
    for agent in agents:
        executor.pull(agent)
    assert running(alice.org) == 6
