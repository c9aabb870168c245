"""What every agent backend does, whatever it speaks to. A backend's tests subclass `BackendContract`:

    class TestThatBackend(BackendContract):
        @asynccontextmanager
        async def subject(self, situation: str) -> AsyncIterator[Subject]:
            async with other_side(situation) as there:
                yield Subject(ThatBackend(), {"url": there.url, "key": SECRET}, answer="Hi", tokens=3, secret=SECRET,
                              reached=there.asked, connected=lambda: there.live)

`situation` says how the other side behaves:

    answers       it answers with `answer` and reports `tokens`
    uncounted     it answers with `answer` and reports no usage
    silent        it takes the work and then says nothing, for as long as anybody waits
    stalls        it says the beginning of an answer and then nothing more
    refused       it does not take the credentials, and repeats them in its refusal
    limited       its rate limit is reached: wait for RETRY_AFTER_SECONDS
    server_error  it fails for a reason of its own, and repeats the credentials in telling so
    nonsense      it answers with what no such thing ever says
    breaks        it goes away in the middle of its answer
    gone          there is nobody

A backend names in `waits` and `failures` those that its other side can be in.
"""

import asyncio
import gc
import logging
import os
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import aiohttp
import pytest

from agents_app.backends.base import Answer, Backend, BackendError, Request

from .recorder import Recorder

RETRY_AFTER_SECONDS = 7
AT_ONCE = 2.0  # a second, and one more for a busy machine
LONG = 10.0


@dataclass(frozen=True, slots=True)
class Failure:
    """How a failure is to be classified; `retry_after` in milliseconds."""

    transient: bool
    retry_after: int | None = None
    limited: bool = False


FAILURES: Mapping[str, Failure] = {
    "refused": Failure(transient=False),
    "limited": Failure(transient=True, retry_after=RETRY_AFTER_SECONDS * 1000, limited=True),
    "server_error": Failure(transient=True),
    "nonsense": Failure(transient=True),
    "breaks": Failure(transient=True),
    "gone": Failure(transient=True),
}


@dataclass
class Subject:
    """A backend and its other side.

    `answer` and `tokens` are what the other side gives in `answers`, `secret` (12 characters or more) what nobody may
    be shown. The other side sets `reached` when it has the work; `connected` counts what it still serves: requests,
    connections or living children. `more` are further fields of the request, such as a workspace.
    """

    backend: Backend
    config: dict[str, Any]
    answer: str = ""
    tokens: int = 0
    secret: str = ""
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    connected: Callable[[], int] = lambda: 0
    more: dict[str, Any] = field(default_factory=dict)

    async def run(self, recorder: Recorder, **fields: Any) -> Answer:
        """Have a session's message answered, or what `fields` make of it."""
        asked = {"type": "message", "content": "Hello", "is_message": True, "config": self.config, **self.more}
        return await self.backend.run(Request("task_1", "org_1", "agent_1", **(asked | fields)), recorder)

    async def close(self) -> None:
        """Have the backend let go of what it keeps between runs."""
        if close := getattr(self.backend, "close", None):
            await close()


class AnswerContract(ABC):
    """What holds for every answer; all there is for a backend that can neither wait nor fail.

    `streams` says whether the backend gives an answer in pieces.
    """

    streams: ClassVar[bool] = True

    @abstractmethod
    def subject(self, situation: str) -> AbstractAsyncContextManager[Subject]:
        """The backend, fresh, and the other side in that situation."""

    def test_it_answers_a_message_under_its_own_name(self) -> None:
        subject, answer, _ = self._answered("answers")
        assert answer.content == subject.answer
        assert answer.backend == subject.backend.name
        assert subject.backend.unready(subject.config) is None

    def test_it_answers_a_task(self) -> None:
        fields = {"type": "code_generation", "content": "Add a test", "is_message": False, "context": {"a": [1, None]}}
        _, answer, _ = self._answered("answers", requirements=["short"], **fields)
        assert answer.content or answer.result
        assert answer.result is None or isinstance(answer.result, Mapping)

    def test_what_it_streams_is_the_answer(self) -> None:
        _, answer, recorder = self._answered("answers")
        assert recorder.text == (answer.content if self.streams else "")

    def test_it_reports_the_usage_that_it_was_told_of(self) -> None:
        subject, answer, _ = self._answered("answers")
        assert answer.tokens == subject.tokens

    def test_it_reports_no_usage_where_it_was_told_of_none(self) -> None:
        assert self._answered("uncounted")[1].tokens == 0

    def test_several_at_once_each_get_their_own_answer(self) -> None:
        async def run() -> None:
            async with self.subject("answers") as subject:
                recorders = [Recorder() for _ in range(4)]
                answers = await asyncio.gather(*(subject.run(recorder) for recorder in recorders))
                assert [answer.content for answer in answers] == [subject.answer] * 4
                assert [r.text for r in recorders] == [subject.answer if self.streams else ""] * 4
                await subject.close()

        asyncio.run(asyncio.wait_for(run(), LONG))

    def test_an_answered_run_leaves_nothing_behind(self) -> None:
        async def run() -> None:
            async with self.subject("answers") as subject:
                before = _held()
                await subject.run(Recorder())
                await self._nothing_left(subject, before)

        asyncio.run(asyncio.wait_for(run(), LONG))

    def test_an_answer_shows_no_secret(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        subject, answer, recorder = self._answered("answers")
        if subject.secret:
            assert subject.secret[:8] not in repr(answer) + recorder.everything + caplog.text

    def _answered(self, situation: str, **fields: Any) -> tuple[Subject, Answer, Recorder]:
        async def run() -> tuple[Subject, Answer, Recorder]:
            recorder = Recorder()
            async with self.subject(situation) as subject:
                answer = await subject.run(recorder, **fields)
                await subject.close()
            return subject, answer, recorder

        return asyncio.run(asyncio.wait_for(run(), LONG))

    async def _nothing_left(self, subject: Subject, before: tuple[int, int]) -> None:
        """The other side sees at once that nobody is there; no task, descriptor or session is left."""
        await _until(lambda: subject.connected() == 0)
        await subject.close()
        await _until(lambda: all(now <= then for now, then in zip(_held(), before, strict=True)))
        assert _open_sessions() == []


class BackendContract(AnswerContract):
    """The whole suite, for a backend that speaks to another side."""

    waits: ClassVar[tuple[str, ...]] = ("silent", "stalls")
    failures: ClassVar[Mapping[str, Failure]] = FAILURES

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test for each situation that this backend's other side can be in."""
        for name, situations in (("waiting", self.waits), ("failing", tuple(self.failures))):
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, situations)

    def test_a_cancelled_run_ends_at_once_and_leaves_nothing_behind(self, waiting: str) -> None:
        async def run() -> None:
            async with self.subject(waiting) as subject:
                before = _held()
                running = await self._under_way(subject, waiting)
                running.cancel()
                await asyncio.wait({running}, timeout=AT_ONCE)
                assert running.cancelled()
                await self._nothing_left(subject, before)

        asyncio.run(asyncio.wait_for(run(), LONG))

    def test_a_run_that_takes_too_long_ends_with_its_timeout(self, waiting: str) -> None:
        async def run() -> None:
            async with self.subject(waiting) as subject:
                before = _held()
                begun = time.monotonic()
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await subject.run(Recorder())
                assert time.monotonic() - begun < 0.3 + AT_ONCE
                await self._nothing_left(subject, before)

        asyncio.run(asyncio.wait_for(run(), LONG))

    def test_a_failure_is_classified(self, failing: str) -> None:
        error, _, _ = self._failed(failing)
        assert Failure(error.transient, error.retry_after, error.limited) == self.failures[failing]
        assert str(error)

    def test_a_failed_run_leaves_nothing_behind(self, failing: str) -> None:
        async def run() -> None:
            async with self.subject(failing) as subject:
                before = _held()
                with pytest.raises(BackendError):
                    await subject.run(Recorder())
                await self._nothing_left(subject, before)

        asyncio.run(asyncio.wait_for(run(), LONG))

    def test_a_failure_shows_no_secret(self, failing: str, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        error, recorder, secret = self._failed(failing)
        if secret:
            shown = "".join(traceback.format_exception(error, chain=True)) + repr(error) + recorder.everything
            assert secret[:8] not in shown + caplog.text

    def _failed(self, situation: str) -> tuple[BackendError, Recorder, str]:
        async def run() -> tuple[BackendError, Recorder, str]:
            recorder = Recorder()
            async with self.subject(situation) as subject:
                with pytest.raises(BackendError) as caught:
                    await subject.run(recorder)
                await subject.close()
            return caught.value, recorder, subject.secret

        return asyncio.run(asyncio.wait_for(run(), LONG))

    async def _under_way(self, subject: Subject, waiting: str) -> asyncio.Task[Answer]:
        """A run that the other side has taken up, and begun to answer where it is in `stalls`."""
        recorder = Recorder()
        running = asyncio.create_task(subject.run(recorder))
        await subject.reached.wait()
        if waiting == "stalls" and self.streams:
            await recorder.first.wait()
        assert subject.connected() > 0
        assert not running.done()
        return running


def _held() -> tuple[int, int]:
    """How many tasks this loop runs and how many descriptors the process has open."""
    return len(asyncio.all_tasks()), len(os.listdir("/dev/fd"))


def _open_sessions() -> list[aiohttp.ClientSession]:
    """This loop's HTTP sessions; one without a connection has no descriptor to be seen by."""
    loop = asyncio.get_running_loop()
    sessions = [found for found in gc.get_objects() if type(found) is aiohttp.ClientSession]
    return [session for session in sessions if session._loop is loop and not session.closed]


async def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + AT_ONCE
    while not condition():
        assert time.monotonic() < end, "it is still there"
        await asyncio.sleep(0.01)
