"""An attempt that takes longer than its task may fails, and says who was too slow."""

import asyncio
from types import SimpleNamespace

import pytest

from agents_app import leases, outcomes, registry
from agents_app.models import Task
from tests.api.working import claim
from tests.api.world import World

pytestmark = pytest.mark.django_db


class Slow:
    """A backend that does not come to an end."""

    name = "slow"

    async def run(self, request, reporter):
        await asyncio.Event().wait()


def attempted(task):
    """The task's row after an attempt."""
    request = outcomes.request_for(task, registry.resolve(task.agent))
    resolved = SimpleNamespace(backend=Slow())
    asyncio.run(outcomes.attempt(resolved, task, request, SimpleNamespace(clock=None)))()
    return Task.objects.get(pk=task.pk)


@pytest.mark.parametrize(("internal", "who"), [(False, "agent"), (True, "request")])
def test_it_fails_and_says_who_was_too_slow(alice, internal, who):
    world = World(alice)
    world.submit(timeout=1000)
    (task,) = claim(world["agent"])
    task.timeout, task.agent.internal = 20, internal
    row = attempted(task)
    assert (row.status, row.error_code, row.error) == ("failed", "timeout", f"The {who} did not finish within 20 ms.")
    assert not leases.complete(task, result={})
