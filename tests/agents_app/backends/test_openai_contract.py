"""The shared contract, for any model endpoint and for the embedded model."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agents_app.backends.local import LocalBackend
from agents_app.backends.openai import OpenAIBackend
from agents_app.local_model import Status

from .contract import BackendContract, Subject
from .situations import begins, breaks, failing, for_ever, other_side
from .stand_in import DONE, KEY, Recorder, answers, chunk, config, message, streams, usage
from .test_local import Model

HANDLERS = {
    **failing(KEY),
    "answers": streams(chunk("Hi "), chunk("there"), chunk(finish="stop"), usage(4, 2), DONE),
    "uncounted": streams(chunk("Hi there", "stop"), DONE),
    "stalls": begins(chunk("Hi"), for_ever),
    "breaks": begins(chunk("Hi"), breaks),
    "nonsense": answers(200, "[1, 2"),
}


class TestOpenAI(BackendContract):
    """The `openai` backend."""

    @asynccontextmanager
    async def subject(self, situation: str) -> AsyncIterator[Subject]:
        async with other_side(situation, HANDLERS) as there:
            yield Subject(
                OpenAIBackend(), config(there.url), "Hi there", 6, KEY, there.asked, connected=lambda: there.live
            )

    def test_it_posts_to_chat_completions_and_tells_no_progress(self) -> None:
        async def run() -> None:
            recorder = Recorder()
            async with other_side("answers", HANDLERS) as there:
                await OpenAIBackend().run(message(config=config(there.url)), recorder)
            assert there.paths == ["/v1/chat/completions"]
            assert (recorder.steps, recorder.lines, recorder.questions) == ([], [], [])

        asyncio.run(run())


class TestLocal(BackendContract):
    """The `local` backend: the key that it must not show is the embedded model's own."""

    @asynccontextmanager
    async def subject(self, situation: str) -> AsyncIterator[Subject]:
        async with other_side(situation, HANDLERS) as there:
            backend = LocalBackend(Model(Status("ready"), there.url))
            yield Subject(backend, {}, "Hi there", 6, KEY, there.asked, connected=lambda: there.live)
