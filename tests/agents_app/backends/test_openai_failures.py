"""How the openai backend fails: what may pass, what may not, and nothing that shows the key."""

import asyncio
import json
import time
from email.utils import formatdate

import pytest
from aiohttp import web

from agents_app.backends.base import BackendError
from agents_app.backends.openai import OpenAIBackend
from agents_app.backends.wire import completion as completion_module
from agents_app.backends.wire.refusals import wait

from .stand_in import DONE, KEY, Recorder, answers, ask, chunk, config, failure, message, serving, streams


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_transient(status: int) -> None:
    error = failure(answers(status, json.dumps({"error": {"message": "busy"}})))
    assert error.transient is True
    assert str(error) == f"the model endpoint answered {status}: busy"


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 410, 422])
def test_what_will_not_pass_is_permanent(status: int) -> None:
    error = failure(answers(status, json.dumps({"error": {"message": "no"}}), **{"Retry-After": "5"}))
    assert (error.transient, error.retry_after) == (False, None)


def test_retry_after_is_told_in_milliseconds() -> None:
    assert failure(answers(429, "{}", **{"Retry-After": "7"})).retry_after == 7_000


def test_only_too_many_requests_close_the_credential() -> None:
    assert failure(answers(429, "{}", **{"Retry-After": "7"})).limited is True
    assert failure(answers(503, "{}", **{"Retry-After": "7"})).limited is False
    event = b"data: " + json.dumps({"error": {"message": "slow down", "code": 429}}).encode() + b"\n\n"
    told = failure(streams(event))
    assert (told.limited, told.transient) == (True, True)


def test_what_no_database_takes_is_in_no_message() -> None:
    error = failure(answers(400, '{"error": {"message": "a\\u0000b\\ud800c"}}'))
    assert str(error) == "the model endpoint answered 400: a�b?c"


def test_retry_after_is_read_in_all_its_forms() -> None:
    in_a_minute = wait({"Retry-After": formatdate(time.time() + 60, usegmt=True)})
    assert in_a_minute is not None
    assert 57_000 <= in_a_minute <= 61_000
    assert wait({"Retry-After": formatdate(time.time() - 60, usegmt=True)}) == 0
    assert wait({"Retry-After": "1.5"}) == 1_500
    assert wait({"Retry-After": "999999999"}) == 86_400_000
    assert [wait({"Retry-After": odd}) for odd in ("soon", "-3", "", "1e999x")] == [None] * 4
    assert wait({}) is None


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}."}}),
        json.dumps({"detail": f"Bearer {KEY} is unknown"}),
        f"plain {KEY}",
        "x" * 290 + KEY,
    ],
)
def test_the_key_is_in_no_message(body: str) -> None:
    error = failure(answers(401, body))
    assert KEY[:6] not in str(error)
    assert KEY[:6] not in repr(error.__cause__)


def test_the_key_is_in_no_message_of_a_stream_either() -> None:
    event = b"data: " + json.dumps({"error": {"message": f"{KEY} is tired", "code": 503}}).encode() + b"\n\n"
    error = failure(streams(chunk("so far"), event))
    assert str(error) == "the model endpoint gave up: [hidden] is tired"
    assert error.transient is True


def test_a_permanent_error_in_a_stream_is_permanent() -> None:
    event = b"data: " + json.dumps({"error": {"message": "forbidden", "code": 403}}).encode() + b"\n\n"
    assert failure(streams(event)).transient is False


def test_a_proxys_page_is_not_repeated() -> None:
    error = failure(answers(502, "<html><body>nginx</body></html>", "text/html"))
    assert str(error) == "the model endpoint answered 502"


def test_a_page_instead_of_an_api_is_a_wrong_address() -> None:
    error = failure(answers(200, "<html>Welcome</html>", "text/html"))
    assert error.transient is False
    assert "config.baseUrl" in str(error)


def test_nobody_there_is_transient() -> None:
    async def run() -> BackendError:
        with pytest.raises(BackendError) as caught:
            await OpenAIBackend().run(message(config=config("http://127.0.0.1:1/v1")), Recorder())
        return caught.value

    error = asyncio.run(run())
    assert error.transient is True
    assert "cannot be reached" in str(error)


def test_redirects_are_not_followed_so_the_key_goes_nowhere_else() -> None:
    async def run() -> tuple[BackendError, int]:
        async with serving(streams(chunk("stolen", "stop"), DONE)) as thief:
            away = answers(307, "", Location=f"{thief.url}/chat/completions")
            async with serving(away) as seen:
                with pytest.raises(BackendError) as caught:
                    await OpenAIBackend().run(message(config=config(seen.url)), Recorder())
            return caught.value, len(thief.bodies)

    error, stolen = asyncio.run(run())
    assert error.transient is False
    assert stolen == 0


def test_an_answer_that_breaks_off_is_transient() -> None:
    async def breaks(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(chunk("half of"))
        await asyncio.sleep(0.05)
        assert request.transport
        request.transport.abort()
        return response

    error = failure(breaks)
    assert error.transient is True
    assert "broke" in str(error)


def test_an_answer_that_ends_early_is_transient() -> None:
    error = failure(streams(chunk("half of")))
    assert error.transient is True
    assert "in the middle" in str(error)


def test_a_connection_that_breaks_after_the_answers_end_does_no_harm() -> None:
    async def breaks(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(chunk("whole", "stop"))
        await asyncio.sleep(0.05)
        assert request.transport
        request.transport.abort()
        return response

    answer, _, _ = ask(breaks)
    assert answer.content == "whole"


@pytest.mark.parametrize(
    "event", [b"data: {oops\n\n", b"data: [1, 2]\n\n", b"data: 7\n\n", b"data: " + b"[" * 200_000 + b"\n\n"]
)
def test_what_is_no_chunk_is_a_passing_failure(event: bytes) -> None:
    assert failure(streams(event)).transient is True


def test_odd_but_harmless_chunks_are_passed_over() -> None:
    odd = [b": ping\n\n", b"event: x\ndata: {}\n\n", b'data: {"choices": null}\n\n', b'data: {"choices": [7]}\n\n']
    odd += [b'data: {"choices": [{"delta": null}]}\n\n', b'data: {"choices": [{"delta": {"content": 5}}]}\n\n']
    odd += [b'data: {"choices": [{"index": 1, "delta": {"content": "other"}}]}\n\n']
    answer, _, _ = ask(streams(*odd, chunk("fine", "stop"), DONE))
    assert answer.content == "fine"


@pytest.mark.parametrize("piece", [b"x" * 65_536, b"data: " + b"x" * 65_536 + b"\n"])
def test_a_line_without_end_is_cut_off(piece: bytes) -> None:
    error = failure(streams(*[piece] * 40))
    assert str(error) == "the model endpoint sent an event of over a megabyte"


def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion_module, "LONGEST_ANSWER", 50)
    answer, recorder, _ = ask(streams(*[chunk("0123456789ab")] * 100))
    assert (len(answer.content), answer.truncated) == (50, True)
    assert "".join(recorder.deltas) == answer.content


@pytest.mark.parametrize(("finish", "transient"), [("stop", True), ("length", False)])
def test_an_empty_answer_is_a_failure(finish: str, transient: bool) -> None:
    error = failure(streams(chunk(finish=finish), DONE))
    assert (error.code, error.transient) == ("empty_answer", transient)


def test_a_chat_that_never_fits_is_a_permanent_failure() -> None:
    refusal = json.dumps({"error": {"code": "context_length_exceeded", "message": "too long"}})
    error = failure(answers(400, refusal), contextChars=4_000)
    assert (error.code, error.transient) == ("context_too_long", False)
