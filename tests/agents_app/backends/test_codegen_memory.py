"""The conversation goes on in one run, and a run that was paid for is never made twice."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from agents_app.backends.base import Turn
from agents_app.backends.wire.codegen.memory import Memory
from agents_app.backends.wire.codegen.run import digest

from .codegen_server import (
    RUN,
    Answering,
    backend,
    codegen,
    config,
    done,
    fail,
    fault,
    goes_away,
    message,
    says,
    state,
    task,
    until,
    work,
)
from .recorder import Recorder


def test_the_next_message_goes_on_in_the_same_run() -> None:
    async def run() -> None:
        async with codegen() as server:
            server.plays.extend([done("One."), done("Two.")])
            first, _ = await work(server, message("One?"))
            turns = [Turn("user", "One?"), Turn("assistant", "One.")]
            second, _ = await work(server, message("Two?", "task_2", memory=first.memory, messages=turns))
            assert second.content == "Two."
            assert server.resumed == [{"agent_run_id": 101, "prompt": "Two?"}]
            assert len(server.created) == 1
            assert second.memory == {"runId": 101, "said": digest("Two."), "lines": 0}

    asyncio.run(run())


def test_what_others_answered_meanwhile_is_told_to_the_run() -> None:
    turns = [Turn("user", "One?"), Turn("assistant", "One."), Turn("user", "Aside?"), Turn("assistant", "Yes.")]

    async def run() -> None:
        async with codegen() as server:
            made = server.add(state("COMPLETE", "One."))
            memory = {"runId": made.id, "said": digest("One."), "lines": 0}
            await work(server, message("Two?", memory=memory, messages=turns))
            assert server.resumed[0]["prompt"] == (
                "This conversation came before, oldest first:\n\nUser:\nAside?\n\nAssistant:\nYes.\n\n"
                "This is what is asked now:\n\nTwo?"
            )

    asyncio.run(run())


def test_the_last_answer_is_not_taken_for_the_new_one() -> None:
    stale = state("COMPLETE", "One.")

    async def run() -> None:
        async with codegen() as server:
            made = server.add(stale)
            server.plays.append([stale, stale, stale, state("COMPLETE", "Two.")])
            memory = {"runId": made.id, "said": digest("One.")}
            assert (await work(server, message(memory=memory)))[0].content == "Two."

    asyncio.run(run())


@pytest.mark.parametrize("states", [[state("COMPLETE", "Done.")], [state("ACTIVE"), state("COMPLETE", "Done.")]])
def test_the_same_answer_twice_is_an_answer(states: list[dict[str, Any]]) -> None:
    async def run() -> None:
        async with codegen() as server:
            made = server.add(state("COMPLETE", "Done."))
            server.plays.append(states)
            memory = {"runId": made.id, "said": digest("Done.")}
            assert (await work(server, message(memory=memory)))[0].content == "Done."
            # Seen at work in between, it is believed at once.
            assert (server.looks(made.id) == 1) == (len(states) == 2)

    asyncio.run(run())


def test_the_log_of_earlier_answers_is_not_told_again() -> None:
    async def run() -> None:
        async with codegen() as server:
            made = server.add(state("COMPLETE", "One."), logs=5)
            answer, recorder = await work(server, message(memory={"runId": made.id, "lines": 3}))
            assert [line[-1] for line in recorder.lines if line.startswith("ACTION")] == ["3", "4"]
            assert answer.memory is not None
            assert answer.memory["lines"] == 5

    asyncio.run(run())


@pytest.mark.parametrize("status", [400, 404, 409, 410, 422])
def test_a_run_that_will_not_go_on_is_followed_by_another_that_knows_everything(status: int) -> None:
    async def run() -> None:
        async with codegen() as server:
            server.faults["create"].append(fault(status))
            made = server.add(state("COMPLETE", "One."))
            turns = [Turn("user", "One?"), Turn("assistant", "One.")]
            memory = {"runId": made.id, "said": digest("One."), "lines": 9}
            answer, _ = await work(server, message("Two?", memory=memory, messages=turns))
            assert "User:\nOne?\n\nAssistant:\nOne." in server.created[0]["prompt"]
            assert answer.memory == {"runId": 102, "said": digest("Done."), "lines": 0}

    asyncio.run(run())


def test_a_task_of_a_session_leaves_the_conversations_run_alone() -> None:
    memory = {"runId": 7, "said": "abc", "lines": 2}

    async def run() -> None:
        async with codegen() as server:
            answer, recorder = await work(server, task(session_id="session_1", memory=memory))
            assert server.resumed == []
            assert answer.memory == memory
            assert recorder.memories[-1] == memory | {"pending": {"taskId": "task_1", "runId": 101, "lines": 0}}

    asyncio.run(run())


def test_a_run_is_remembered_before_anything_can_be_lost() -> None:
    async def run() -> None:
        async with codegen() as server:
            server.plays.append([state("ACTIVE")])
            recorder = Recorder()
            request = replace(message(), config=config(server))
            working = asyncio.create_task(backend().run(request, recorder))
            await until(lambda: len(recorder.memories) == 2)
            asked_for = {"taskId": "task_1", "lines": 0}
            assert recorder.memories == [{"pending": asked_for}, {"pending": asked_for | {"runId": 101}}]
            assert server.asked == [f"POST {RUN}"]
            working.cancel()
            await asyncio.wait({working})

    asyncio.run(run())


def test_the_next_attempt_of_a_task_takes_its_run_up_again() -> None:
    async def run() -> None:
        async with codegen() as server:
            made = server.add(*done("Saved."), logs=4)
            memory = {"pending": {"taskId": "task_1", "runId": made.id, "lines": 3}}
            answer, recorder = await work(server, message(memory=memory))
            assert answer.content == "Saved."
            assert (server.created, server.resumed) == ([], [])
            assert [line[-1] for line in recorder.lines if line.startswith("ACTION")] == ["3"]
            assert answer.memory == {"runId": made.id, "said": digest("Saved."), "lines": 4}

    asyncio.run(run())


def test_how_much_of_the_log_was_told_is_remembered_while_the_run_runs() -> None:
    async def run() -> None:
        async with codegen() as server:
            made = server.add(*done(), logs=4)
            _, recorder = await work(server, message(memory={"pending": {"taskId": "task_1", "runId": made.id}}))
            told = [memory["pending"]["lines"] for memory in recorder.memories]
            assert told == [0, 4]  # once for each that is new, not at every look

    asyncio.run(run())


def test_a_new_run_that_says_what_the_last_one_said_is_believed_at_once() -> None:
    async def run() -> None:
        async with codegen() as server:
            made = server.add(state("COMPLETE", "Done."))
            memory = {"runId": 7, "said": digest("Done."), "pending": {"taskId": "task_1", "runId": made.id}}
            assert (await work(server, message(memory=memory)))[0].content == "Done."
            assert server.looks(made.id) == 1

    asyncio.run(run())


def test_a_run_that_a_cancelled_message_left_at_work_is_not_asked_the_next_one() -> None:
    async def run() -> None:
        async with codegen() as server:
            made = server.add(state("ACTIVE"), state("COMPLETE", "The cancelled one's answer."))
            memory = {"runId": made.id, "said": "x", "pending": {"taskId": "task_0", "runId": made.id}}
            answer, _ = await work(server, message("Two?", memory=memory, messages=[Turn("user", "One?")]))
            assert answer.content == "Done."
            assert server.resumed == []
            assert answer.memory is not None
            assert answer.memory["runId"] == 102

    asyncio.run(run())


def test_the_conversation_goes_on_beside_the_run_of_another_task() -> None:
    async def run() -> None:
        async with codegen() as server:
            made = server.add(state("COMPLETE", "One."))
            memory = {"runId": made.id, "said": digest("One."), "pending": {"taskId": "task_0", "runId": 77}}
            answer, _ = await work(server, message("Two?", memory=memory))
            assert answer.content == "Done."
            assert server.resumed == [{"agent_run_id": made.id, "prompt": "Two?"}]

    asyncio.run(run())


def test_another_tasks_run_is_not_taken_up() -> None:
    async def run() -> None:
        async with codegen() as server:
            made = server.add(*done("Not yours."))
            memory = {"pending": {"taskId": "task_0", "runId": made.id}}
            assert (await work(server, message(memory=memory)))[0].content == "Done."
            assert len(server.created) == 1

    asyncio.run(run())


def test_a_run_that_is_gone_is_made_anew() -> None:
    async def run() -> None:
        async with codegen() as server:
            memory = {"pending": {"taskId": "task_1", "runId": 999}}
            assert (await work(server, message(memory=memory)))[0].content == "Done."
            assert len(server.created) == 1

    asyncio.run(run())


@pytest.mark.parametrize("lost", [goes_away, fault(502), says("{oops")])
def test_a_creation_whose_answer_was_lost_is_found_by_the_next_attempt(lost: Answering) -> None:
    async def run() -> None:
        async with codegen() as server:
            server.faults["create"].append(lost)
            error, recorder = await fail(server)
            assert error.transient is True
            # It had come through all the same.
            server.add(*done("Somebody else's."), taskId="task_0")
            server.add(*done("Found."), taskId="task_1")
            server.add(*done("No task's."))
            answer, _ = await work(server, message(memory=recorder.memories[-1]))
            assert answer.content == "Found."
            assert server.created == []

    asyncio.run(run())


def test_a_creation_that_never_came_through_is_made_again() -> None:
    async def run() -> None:
        async with codegen() as server:
            server.faults["create"].append(fault(503))
            _, recorder = await fail(server)
            answer, _ = await work(server, message(memory=recorder.memories[-1]))
            assert answer.content == "Done."
            assert len(server.created) == 1

    asyncio.run(run())


def test_without_knowing_whether_there_is_a_run_none_is_made() -> None:
    async def run() -> None:
        async with codegen() as server:
            server.faults["read"].append(fault(500))
            error, _ = await fail(server, message(memory={"pending": {"taskId": "task_1"}}))
            assert error.transient is True
            assert server.created == []

    asyncio.run(run())


def test_a_run_that_failed_is_forgotten_so_that_a_retry_makes_another() -> None:
    async def run() -> None:
        async with codegen() as server:
            server.plays.append([state("ACTIVE"), state("FAILED", "no")])
            _, recorder = await fail(server)
            assert recorder.memories[-1] == {}

    asyncio.run(run())


@pytest.mark.parametrize(
    "kept",
    [
        {"runId": "7", "pending": 5},
        {"runId": True, "lines": None, "said": None, "pending": []},
        {"runId": -1, "pending": {}},
        {"something": "else"},
    ],
)
def test_a_memory_that_is_none_of_ours_is_none(kept: dict[str, Any]) -> None:
    async def run() -> None:
        async with codegen() as server:
            assert (await work(server, message(memory=kept)))[0].content == "Done."
            assert len(server.created) == 1

    asyncio.run(run())


def test_a_memory_comes_back_as_it_was_stored() -> None:
    stored = {"runId": 7, "said": "ab", "lines": 2, "pending": {"taskId": "task_1", "runId": 8, "lines": 1}}
    assert Memory.of(message(memory=stored)).public() == stored
