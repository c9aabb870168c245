"""A Codegen run's log is told while it runs, and whatever becomes of the log does the run no harm."""

import asyncio
from dataclasses import replace

import pytest

from .codegen_server import (
    FAST,
    KEY,
    Answering,
    backend,
    codegen,
    config,
    done,
    entry,
    fault,
    goes_away,
    hangs,
    message,
    says,
    state,
    until,
    work,
)
from .recorder import Recorder


def test_the_log_is_told_once_and_in_order_while_the_run_runs() -> None:
    async def run() -> None:
        async with codegen() as server:
            first = server.add(*[state("ACTIVE")] * 2, logs=250)
            server.plays.append([state("ACTIVE"), state("COMPLETE", "ok")])
            remembered = {"pending": {"taskId": "task_1", "runId": first.id}}
            working = asyncio.create_task(work(server, message(memory=remembered)))
            await until(lambda: server.looks(first.id) >= 3)
            first.logs += [entry(250), entry(251)]
            first.states.extend([state("COMPLETE", "ok")] * 2)
            _, recorder = await working
            steps = [line for line in recorder.lines if line.startswith("ACTION")]
            assert steps == [f"ACTION ripgrep_search: step {n}" for n in range(252)]

    asyncio.run(run())


def test_entries_of_all_kinds_are_one_line_without_the_key() -> None:
    kinds = [
        entry(1, thought="two\nlines"),
        entry(2, thought=None),
        entry(3, message_type="ERROR", tool_name=None, thought=None, observation=f"bad {KEY}"),
        entry(4, message_type="FINAL_ANSWER", tool_name=None, thought=None, observation={"text": "ü"}),
        {"agent_run_id": 1},
        "only text",
        entry(5, thought="x" * 5_000),
    ]

    async def run() -> None:
        async with codegen() as server:
            made = server.add(state("COMPLETE", "ok"))
            made.logs += kinds
            _, recorder = await work(server, message(memory={"pending": {"taskId": "task_1", "runId": made.id}}))
            assert recorder.lines[1:-1] == [
                "ACTION ripgrep_search: two lines",
                'ACTION ripgrep_search: {"query": "x"}',
                "ERROR: bad [hidden]",
                'FINAL_ANSWER: {"text": "ü"}',
                "",
                "only text",
            ]
            assert recorder.lines[-1] == "ACTION ripgrep_search: " + "x" * 976 + "…"

    asyncio.run(run())


@pytest.mark.parametrize("gone", [fault(404), fault(403), fault(410), says({"logs": {}}), says([])])
def test_a_log_that_is_not_there_does_no_harm_and_is_not_asked_for_again(gone: Answering) -> None:
    async def run() -> None:
        async with codegen() as server:
            server.faults["logs"].extend([gone] * 20)
            answer, recorder = await work(server)
            assert answer.content == "Done."
            assert [line for line in recorder.lines if "Codegen run" not in line] == []
            assert sum(path.endswith("/logs") for path in server.asked) == 1

    asyncio.run(run())


@pytest.mark.parametrize("passing", [fault(500), fault(503), goes_away, says("{oops")])
def test_a_log_that_fails_for_a_moment_is_told_whole(passing: Answering) -> None:
    async def run() -> None:
        async with codegen() as server:
            server.faults["logs"].append(passing)
            made = server.add(*done(), logs=3)
            _, recorder = await work(server, message(memory={"pending": {"taskId": "task_1", "runId": made.id}}))
            steps = [line[-1] for line in recorder.lines if line.startswith("ACTION")]
            assert steps == ["0", "1", "2"]

    asyncio.run(run())


def test_a_log_that_hangs_holds_the_answer_up_for_a_moment_only() -> None:
    async def run() -> None:
        async with codegen() as server:
            server.faults["logs"].append(hangs)
            server.plays.append([state("COMPLETE", "ok")])
            recorder = Recorder()
            request = replace(message(), config=config(server))
            answer = await backend(replace(FAST, rest=0.05)).run(request, recorder)
            assert answer.content == "ok"
            assert recorder.lines[-1] == "The rest of the log could not be read in time."
            await until(lambda: server.live == 0)

    asyncio.run(asyncio.wait_for(run(), 5))
