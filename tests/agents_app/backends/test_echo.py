"""The echo backend: the shared contract, and what comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agents_app.backends.base import Answer, Request
from agents_app.backends.echo import EchoBackend

from .contract import AnswerContract, Subject
from .recorder import Recorder


class TestEcho(AnswerContract):
    """It speaks to nobody, so nothing of it can wait or fail."""

    @asynccontextmanager
    async def subject(self, situation: str) -> AsyncIterator[Subject]:
        yield Subject(EchoBackend(), {}, answer="Hello")


def test_a_task_comes_back_as_its_result() -> None:
    request = Request("task_1", "org_1", "agent_1", "review", "Look", requirements=["soon"], context={"b": 1, "a": [2]})
    answer = asyncio.run(EchoBackend().run(request, Recorder()))
    result = {"content": "Look", "type": "review", "requirements": ["soon"], "context": {"b": 1, "a": [2]}}
    assert answer == Answer("Look", result=result, backend="echo", model="echo")
