"""The openai backend lets go: of a cancelled answer at once, and of its connections with the loop."""

import asyncio
import gc
import time
import warnings

import pytest
from aiohttp import web

from agents_app.backends.base import BackendError
from agents_app.backends.openai import OpenAIBackend
from agents_app.backends.wire.session import Sessions

from .stand_in import DONE, Recorder, answers, chunk, config, message, serving, streams


async def endless(request: web.Request) -> web.StreamResponse:
    """Says something and then is silent for an hour."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(chunk("thinking"))
    await asyncio.sleep(3600)
    return response


def test_a_cancelled_answer_closes_its_connection_within_a_second() -> None:
    async def run() -> None:
        async with serving(endless) as seen:
            backend, recorder = OpenAIBackend(), Recorder()
            running = asyncio.create_task(backend.run(message(config=config(seen.url)), recorder))
            await asyncio.wait_for(recorder.first.wait(), 5)
            assert seen.live == 1
            begun = time.monotonic()
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            await asyncio.wait_for(seen.ended.wait(), 5)
            assert time.monotonic() - begun < 1
            assert seen.live == 0
            assert recorder.deltas == ["thinking"]

    asyncio.run(run())


def test_a_request_cancelled_before_its_answer_began_closes_its_connection() -> None:
    async def silent(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(3600)
        return web.Response()

    async def run() -> None:
        async with serving(silent) as seen:
            running = asyncio.create_task(OpenAIBackend().run(message(config=config(seen.url)), Recorder()))
            await asyncio.wait_for(seen.asked.wait(), 5)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            await asyncio.wait_for(seen.ended.wait(), 1)

    asyncio.run(run())


def test_nothing_is_left_behind() -> None:
    async def run() -> None:
        backend = OpenAIBackend()
        good, bad = streams(chunk("x", "stop"), DONE), answers(500, "{}")
        async with serving(good) as up, serving(bad) as down:
            for _ in range(5):
                await backend.run(message(config=config(up.url)), Recorder())
                with pytest.raises(BackendError):
                    await backend.run(message(config=config(down.url)), Recorder())
            session = await backend._sessions.get()
            assert session.connector is not None
            await asyncio.sleep(0.05)
            assert len(session.connector._acquired) == 0
            assert not session.connector._conns
            await backend.close()
            assert session.closed
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(run(), debug=True)
        gc.collect()


def test_each_loop_has_one_session_that_ends_with_it() -> None:
    sessions = Sessions()

    async def twice() -> list[object]:
        return [await sessions.get(), await sessions.get()]

    first, second = asyncio.run(twice()), asyncio.run(twice())
    assert first[0] is first[1]
    assert second[0] is second[1]
    assert first[0] is not second[0]
    assert [session.closed for session in (*first, *second)] == [True] * 4  # type: ignore[attr-defined]
    assert not sessions._lives


def test_closing_twice_is_harmless_and_the_next_request_works() -> None:
    async def run() -> str:
        backend = OpenAIBackend()
        async with serving(streams(chunk("again", "stop"), DONE)) as seen:
            await backend.close()
            await backend.run(message(config=config(seen.url)), Recorder())
            await backend.close()
            await backend.close()
            return (await backend.run(message(config=config(seen.url)), Recorder())).content

    assert asyncio.run(run()) == "again"
