"""A workflow's `http` step as its backend runs it: one request, and what is made of the reply."""

import asyncio
from typing import Any

import pytest

from agents_app.backends.base import Answer, BackendError, Request
from agents_app.backends.request import Call, Outcome, RequestBackend
from taskmaster.core.strict_json import parse

from .recorder import Recorder


def sent(outcome: Outcome, **more: Any) -> Answer:
    """The answer to a request that comes back with this."""

    async def send(call: Call) -> Outcome:
        return outcome

    wanted = {"method": "GET", "url": "https://x.example/", "headers": {}, "body": None, "expect": None} | more
    request = Request("task_1", "org_1", "agent_1", "ask", "GET", context={"request": wanted})
    return asyncio.run(RequestBackend(send, parse).run(request, Recorder()))


def test_a_reply_is_its_result() -> None:
    answer = sent(Outcome(200, "application/json", b'{"a": [2]}'))
    result = {"status": 200, "contentType": "application/json", "body": '{"a": [2]}', "json": {"a": [2]}}
    assert answer == Answer('{"a": [2]}', result=result, backend="request")


@pytest.mark.parametrize(
    "body", [b'{"n": 123456789012345678901234567890}', b'"\\ud800"', b'"\\u0000"', b"[NaN]", b"[" * 3000, b"\xff", b""]
)
def test_what_could_not_be_stored_is_text_and_no_json(body: bytes) -> None:
    result = sent(Outcome(200, "application/json", body)).result
    assert result is not None
    assert set(result) == {"status", "contentType", "body"}


@pytest.mark.parametrize("outcome", [Outcome(503), Outcome(429), Outcome(404), Outcome(problem="no connection")])
def test_no_failure_is_tried_again_here(outcome: Outcome) -> None:
    with pytest.raises(BackendError) as failed:
        sent(outcome)
    assert (failed.value.code, failed.value.transient, failed.value.limited) == ("request_failed", False, False)


def test_a_status_that_is_expected_is_no_failure() -> None:
    answer = sent(Outcome(404), expect=[404])
    assert answer.result == {"status": 404, "contentType": "", "body": ""}
