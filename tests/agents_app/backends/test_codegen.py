"""What the codegen backend asks of Codegen and what it makes of a good run."""

import asyncio
from typing import Any

import pytest

from agents_app.backends.base import Answer, Turn
from agents_app.backends.codegen import CodegenBackend
from agents_app.backends.wire.codegen.run import digest

from .codegen_server import KEY, ORG, codegen, done, message, state, task, work

PULL_REQUEST = {
    "id": 7,
    "title": "Add a test",
    "url": "https://x/pull/7",
    "created_at": "2025",
    "head_branch_name": "b",
}


def test_a_run_is_created_and_its_result_is_the_answer() -> None:
    async def run() -> None:
        async with codegen() as server:
            server.plays.append(done("All done.", github_pull_requests=[PULL_REQUEST]))
            answer, recorder = await work(server, task(), model="sonnet")
            pull_request = {
                "id": 7, "title": "Add a test", "url": "https://x/pull/7", "branch": "b", "createdAt": "2025"
            }  # fmt: skip
            assert answer == Answer(
                "All done.",
                result={
                    "content": "All done.",
                    "runId": 101,
                    "url": "https://codegen.com/agent/trace/101",
                    "status": "COMPLETE",
                    "pullRequests": [pull_request],
                },
                tokens=0,
                backend="codegen",
                model="sonnet",
                memory={"runId": 101, "said": digest("All done."), "lines": 0},
            )
            assert recorder.deltas == []

    asyncio.run(run())


def test_a_run_is_created_with_what_is_configured_and_nothing_else() -> None:
    async def run() -> None:
        async with codegen() as server:
            await work(server, message("Hi"))
            await work(server, message("Hi"), repoId=12, model="opus", agentType="claude_code", orgId=str(ORG))
            bare = {"prompt": "Hi", "metadata": {"source": "task-master", "taskId": "task_1"}}
            assert server.created == [bare, bare | {"repo_id": 12, "model": "opus", "agent_type": "claude_code"}]
            assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {KEY}"}

    asyncio.run(run())


def test_a_task_brings_its_requirements_and_context() -> None:
    async def run() -> None:
        async with codegen() as server:
            await work(server, task("Sort it", requirements=["fast"], context={"language": "Python"}))
            assert server.created[0]["prompt"] == (
                'Sort it\n\nRequirements:\n- fast\n\nContext:\n{\n "language": "Python"\n}'
            )

    asyncio.run(run())


def test_a_conversation_that_others_had_is_in_the_first_prompt() -> None:
    async def run() -> None:
        async with codegen() as server:
            await work(server, message("Three?", messages=[Turn("user", "One?"), Turn("assistant", "1")]))
            assert server.created[0]["prompt"] == (
                "This conversation came before, oldest first:\n\nUser:\nOne?\n\nAssistant:\n1\n\n"
                "This is what is asked now:\n\nThree?"
            )

    asyncio.run(run())


def test_the_longest_message_goes_whole() -> None:
    async def run() -> None:
        async with codegen() as server:
            await work(server, message("x" * 262_144, messages=[Turn("user", "One?"), Turn("assistant", "1" * 90_000)]))
            assert server.created[0]["prompt"] == "x" * 262_144

    asyncio.run(run())


@pytest.mark.parametrize("status", ["COMPLETE", "complete", "Completed", " complete "])
def test_a_status_is_read_without_regard_to_case(status: str) -> None:
    async def run() -> None:
        async with codegen() as server:
            server.plays.append([state("active"), state(status, "ok")])
            answer, _ = await work(server)
            assert answer.content == "ok"
            assert answer.result is not None
            assert answer.result["status"] == status.strip().upper()

    asyncio.run(run())


def test_a_status_that_nobody_knows_is_still_running() -> None:
    odd: list[dict[str, Any]] = [state("QUANTUM_LEAPING"), state(None), state("PAUSED"), state("EVALUATION", "half")]

    async def run() -> None:
        async with codegen() as server:
            server.plays.append([*odd, state("COMPLETE", "whole")])
            answer, recorder = await work(server)
            assert answer.content == "whole"
            told = [line.split(":")[0] for line in recorder.lines]
            named = ("QUANTUM_LEAPING", "of no status", "PAUSED", "EVALUATION", "COMPLETE")
            assert told == [f"Codegen run 101 is {status}" for status in named]

    asyncio.run(run())


def test_a_result_that_comes_late_is_waited_for() -> None:
    async def run() -> None:
        async with codegen() as server:
            server.plays.append([state("COMPLETE"), state("COMPLETE"), state("COMPLETE", "there it is")])
            assert (await work(server))[0].content == "there it is"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("last", "content"),
    [
        (state("COMPLETE", None, summary="In short"), "In short"),
        (state("COMPLETE", " \n", github_pull_requests=[PULL_REQUEST]), "Add a test https://x/pull/7"),
        (state("COMPLETE", None, github_pull_requests=[{"id": 1, "url": "https://x/1"}, 5]), "https://x/1"),
    ],
)
def test_a_run_without_a_result_answers_with_what_it_has(last: dict[str, Any], content: str) -> None:
    async def run() -> None:
        async with codegen() as server:
            server.plays.append([last])
            assert (await work(server))[0].content == content

    asyncio.run(run())


def test_what_no_database_takes_is_not_in_an_answer() -> None:
    odd = {"id": "x", "title": "a\0b", "url": 5, "head_branch_name": None}

    async def run() -> None:
        async with codegen() as server:
            server.plays.append([state("COMPLETE", "nul \0, half \ud800", github_pull_requests=[odd], web_url=7)])
            answer, _ = await work(server)
            assert answer.content == "nul \ufffd, half ?"
            shown = {"id": None, "title": "a\ufffdb", "url": None, "branch": None, "createdAt": None}
            assert answer.result is not None
            assert (answer.result["pullRequests"], answer.result["url"]) == ([shown], None)

    asyncio.run(run())


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_base_urls_are_taken_as_people_write_them(suffix: str) -> None:
    async def run() -> None:
        async with codegen() as server:
            assert (await work(server, baseUrl=server.url + suffix))[0].content == "Done."

    asyncio.run(run())


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"apiKey": None}, "config.apiKey is missing"),
        ({"apiKey": " "}, "config.apiKey is missing"),
        ({"apiKey": 5}, "config.apiKey must be a string"),
        ({"apiKey": "a\nX-Evil: 1"}, "config.apiKey has characters that no key has"),
        ({"orgId": None}, "config.orgId is missing"),
        ({"orgId": ""}, "config.orgId is missing"),
        ({"orgId": "acme"}, "config.orgId must be a positive whole number"),
        ({"orgId": True}, "config.orgId must be a positive whole number"),
        ({"orgId": -3}, "config.orgId must be a positive whole number"),
        ({"orgId": "../1"}, "config.orgId must be a positive whole number"),
        ({"orgId": 10**30}, "config.orgId must be a positive whole number"),
        ({"repoId": 1.5}, "config.repoId must be a positive whole number"),
        ({"model": ["a"]}, "config.model must be a string"),
        ({"agentType": {}}, "config.agentType must be a string"),
        ({"baseUrl": "ftp://host"}, "config.baseUrl must be an http or https address"),
        ({"baseUrl": "http://[::1"}, "config.baseUrl must be an http or https address"),
        ({"baseUrl": 7}, "config.baseUrl must be an http or https address"),
    ],
)
def test_a_wrong_configuration_is_unready_for_good_and_says_why(broken: dict[str, Any], reason: str) -> None:
    unready = CodegenBackend().unready({"apiKey": KEY, "orgId": ORG} | broken)
    assert unready is not None
    assert (unready.reason, unready.for_good) == (reason, True)


def test_a_good_configuration_is_ready_without_an_address() -> None:
    assert CodegenBackend().unready({"apiKey": KEY, "orgId": ORG}) is None
