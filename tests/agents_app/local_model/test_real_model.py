"""The real model, where its weights are at hand."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from agents_app.backends.base import Request, Turn
from agents_app.backends.local import LocalBackend
from agents_app.local_model import LocalModel, LocalModelSettings
from agents_app.local_model.weights import OFFICIAL
from tests.agents_app.backends.stand_in import Recorder

from .running import ROOT, until

FOLDERS = [os.environ.get("TASKMASTER_TEST_WEIGHTS"), str(ROOT / "var")]
FOUND = [f for f in (Path(d) / "models" / f"{OFFICIAL.sha256}.gguf" for d in FOLDERS if d) if f.is_file()]

pytestmark = pytest.mark.skipif(
    not FOUND, reason="the weights are not here: run the server once, or set TASKMASTER_TEST_WEIGHTS to its data folder"
)


def ask(content: str, **more: object) -> Request:
    return Request("task_1", "org_1", "agent_1", "message", content, is_message=True, **more)  # type: ignore[arg-type]


@pytest.mark.timeout(300)
def test_it_writes_code_remembers_and_stops_when_told(tmp_path: Path) -> None:
    model = LocalModel(LocalModelSettings(tmp_path, model=str(FOUND[0])))
    model.start()
    try:
        until(model.endpoint, 120)
        asyncio.run(conversation(LocalBackend(model)))
    finally:
        model.stop()


async def conversation(backend: LocalBackend) -> None:
    recorder = Recorder()
    answer = await backend.run(ask("Write a Python function add(a, b)."), recorder)
    assert "def add(" in answer.content
    assert (answer.backend, answer.model) == ("local", OFFICIAL.name)
    assert answer.tokens > len(recorder.deltas) > 10
    assert "".join(recorder.deltas) == answer.content

    talk = [Turn("user", "My name is Wilhelmina."), Turn("assistant", "Hello Wilhelmina!")]
    remembered = await backend.run(ask("What is my name? Answer with the name.", messages=talk), Recorder())
    assert "Wilhelmina" in remembered.content

    short = await backend.run(ask("Count from 1 to 100.", config={"maxTokens": 8}), Recorder())
    assert short.truncated

    recorder = Recorder()
    running = asyncio.create_task(backend.run(ask("Write a long story."), recorder))
    await asyncio.wait_for(recorder.first.wait(), 60)
    begun = time.monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert time.monotonic() - begun < 1
