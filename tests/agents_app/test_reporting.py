"""What a running task tells and asks, with the real rows behind it."""

import asyncio
from functools import partial

import pytest
from django.db import connections

from agents_app import actions, memories, outcomes, reporting
from agents_app.backends.base import Answer, Decision, Question
from agents_app.models import Action, LogLine, Task
from agents_app.registry import Resolved
from agents_app.reporting import TaskReporter
from tests.api.working import claim
from tests.api.world import World

pytestmark = pytest.mark.django_db(transaction=True)
QUESTION = Question(key="call_1", tool="Bash", input={"command": "ls"})


@pytest.fixture
def task(alice):
    world = World(alice)
    world.submit(sessionId=world["session"], timeout=1_000)
    (found,) = claim(world["agent"])
    return found


def in_pool(call):
    """As the executor does it."""

    def run():
        try:
            return call()
        finally:
            connections.close_all()

    return asyncio.get_running_loop().run_in_executor(None, run)


def decide(confirmed, **more):
    verdict = actions.Verdict(confirmed=confirmed, by="alice", **more)
    return partial(lambda: actions.decide(Action.objects.get(status="pending"), verdict))


async def asked(task):
    """Wait until the question is there."""
    while not await in_pool(Action.objects.filter(status="pending").exists):  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def status(task):
    return Task.objects.values_list("status", flat=True).get(pk=task.pk)


def test_a_question_waits_for_its_decision(task):
    async def scene():
        reporter = TaskReporter(task, in_pool)
        waiting = asyncio.create_task(reporter.ask(QUESTION))
        await asked(task)
        assert await in_pool(lambda: status(task)) == "waiting"
        await in_pool(decide(True, updated_input={"command": "ls -l"}))
        return await asyncio.wait_for(waiting, 5)

    assert asyncio.run(scene()) == Decision(allowed=True, input={"command": "ls -l"})
    assert status(task) == "running"


class Asking:
    """A backend that asks, and needs longer for it than its task has time."""

    name, remembers, resumes, works_in_files = "asking", False, False, False

    async def run(self, request, reporter):
        decision = await reporter.ask(QUESTION)
        return Answer(decision.reason, backend=self.name)

    def unready(self, config):
        return None


def test_the_time_of_a_task_stands_still_while_a_person_thinks(task):
    resolved = Resolved(Asking(), {})

    async def scene():
        reporter = TaskReporter(task, in_pool)
        request = await in_pool(lambda: outcomes.request_for(task, resolved))
        attempt = asyncio.create_task(outcomes.attempt(resolved, task, request, reporter))
        await asked(task)
        await asyncio.sleep(task.timeout / 1000 + 0.2)
        await in_pool(decide(False, reason="not now"))
        await in_pool(await asyncio.wait_for(attempt, 5))

    asyncio.run(scene())
    task.refresh_from_db()
    assert (task.status, task.result["content"]) == ("completed", "not now")


def test_a_task_that_is_cancelled_asks_no_longer(task):
    async def scene():
        reporter = TaskReporter(task, in_pool)
        waiting = asyncio.create_task(reporter.ask(QUESTION))
        await asked(task)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(scene())


def test_lines_are_stored_in_order_and_none_is_left_behind(task):
    async def scene():
        reporter = TaskReporter(task, in_pool)
        for number in range(50):
            reporter.log(f"line {number}")
            if number % 10 == 0:
                reporter.finish()
        reporter.finish()
        await reporter.stored()

    asyncio.run(scene())
    assert list(LogLine.objects.order_by("id").values_list("text", flat=True)) == [f"line {n}" for n in range(50)]


def test_what_is_remembered_last_is_there_at_the_next_attempt(task):
    async def scene():
        reporter = TaskReporter(task, in_pool)
        for number in range(20):
            reporter.remember({"runId": number})
        await reporter.stored()

    asyncio.run(scene())
    assert memories.remembered(task) == {"runId": 19}


def test_whoever_has_lost_its_task_leaves_nothing_to_remember(task):
    memories.remember(task, {"runId": 1})
    Task.objects.update(lease="another")
    memories.remember(task, {"runId": 2})
    assert memories.remembered(task) == {"runId": 1}


def test_a_piece_says_of_which_attempt_and_answer_it_is(alice, monkeypatch):
    world, sent = World(alice), []
    message = world.say("hello")
    (found,) = claim(world["agent"])
    monkeypatch.setattr(reporting.hub, "send", lambda key, data: sent.append((key, data)))

    async def scene():
        reporter = TaskReporter(found, in_pool)
        reporter.delta("He")
        reporter._flush()
        reporter.delta("llo")
        reporter.finish()

    asyncio.run(scene())
    about = {"attempt": 1, "orgId": alice.org.pk, "messageId": message, "sessionId": world["session"]}
    about |= {"taskId": found.pk, "workflowId": None}
    assert sent == [
        (f"live:{message}", {"event": "delta", "content": "He", "offset": 0} | about),
        (f"live:{message}", {"event": "delta", "content": "llo", "offset": 2} | about),
    ]
