"""However many runs there are, Codegen's published limits are kept; one that is reached all the same is sat out."""

import asyncio
from dataclasses import replace

import pytest

from agents_app.backends.base import BackendError
from agents_app.backends.codegen import CodegenBackend
from agents_app.backends.wire.allowance import Limit
from agents_app.backends.wire.codegen.api import PUBLISHED

from .codegen_server import (
    CREATE,
    FAST,
    LIMITS,
    LOGS,
    READ,
    Answering,
    backend,
    codegen,
    config,
    fail,
    fault,
    message,
    work,
)
from .recorder import Recorder


def limited(after: str = "0.05") -> Answering:
    """A refusal that asks for so many seconds."""
    return fault(429, "Rate limit exceeded.", **{"Retry-After": after})


def test_the_published_limits_are_the_ones_that_are_kept() -> None:
    assert {CREATE: Limit(10, 60), READ: Limit(60, 30), LOGS: Limit(60, 60)} == PUBLISHED
    assert {kind: limit.count for kind, limit in LIMITS.items()} == {k: v.count for k, v in PUBLISHED.items()}


def test_many_runs_at_once_stay_inside_the_limits() -> None:
    faster = {CREATE: Limit(10, 0.5), READ: Limit(60, 0.25), LOGS: Limit(60, 0.5)}

    async def run() -> None:
        async with codegen(limits=faster) as server:
            shared = CodegenBackend(limits=faster, pace=FAST)
            asked = [replace(message(task_id=f"task_{n}"), config=config(server)) for n in range(30)]
            answers = await asyncio.gather(*(shared.run(request, Recorder()) for request in asked))
            assert [answer.content for answer in answers] == ["Done."] * 30
            assert sorted(body["metadata"]["taskId"] for body in server.created) == sorted(r.task_id for r in asked)
            assert server.too_many == 0

    asyncio.run(run())


@pytest.mark.parametrize(
    ("header", "told"), [({"Retry-After": "7"}, 7_000), ({}, 1_000), ({"Retry-After": "x"}, 1_000)]
)
def test_a_limit_that_is_reached_is_told_with_when_it_opens(header: dict[str, str], told: int) -> None:
    async def run() -> None:
        async with codegen() as server:
            server.faults[CREATE].append(fault(429, "Rate limit exceeded.", **header))
            error, _ = await fail(server)
            assert (error.transient, error.limited, error.retry_after) == (True, True, told)
            assert str(error) == "Codegen answered 429: Rate limit exceeded."

    asyncio.run(run())


def test_nobody_else_runs_into_a_limit_that_is_known_to_be_reached() -> None:
    async def run() -> None:
        async with codegen() as server:
            shared, request = backend(), replace(message(), config=config(server))
            server.faults[CREATE].append(limited(after="0.5"))
            with pytest.raises(BackendError):
                await shared.run(request, Recorder())
            second = asyncio.create_task(shared.run(request, Recorder()))
            other_key = replace(request, config=request.config | {"apiKey": "another"})
            with pytest.raises(BackendError, match="does not accept"):
                await shared.run(other_key, Recorder())
            assert server.created == []
            assert (await second).content == "Done."

    asyncio.run(run())


def test_a_limit_that_is_reached_while_looking_is_sat_out() -> None:
    async def run() -> None:
        async with codegen() as server:
            server.faults[READ].extend([limited()] * 2)
            server.faults[LOGS].append(limited())
            assert (await work(server))[0].content == "Done."

    asyncio.run(run())


def test_a_limit_that_stays_closed_for_long_puts_the_task_off() -> None:
    async def run() -> None:
        async with codegen() as server:
            server.faults[READ].append(limited(after="3600"))
            error, recorder = await fail(server)
            assert (error.transient, error.limited, error.retry_after) == (True, True, 3_600_000)
            assert recorder.memories[-1]["pending"]["runId"] == 101

    asyncio.run(run())


def test_a_backend_serves_one_loop_after_another() -> None:
    shared = backend()

    async def run() -> str:
        async with codegen() as server:
            return (await shared.run(replace(message(), config=config(server)), Recorder())).content

    assert [asyncio.run(run()) for _ in range(2)] == ["Done.", "Done."]
