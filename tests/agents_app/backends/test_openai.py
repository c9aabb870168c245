"""What the openai backend sends and what it makes of a good answer."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from agents_app.backends.base import Answer, Request, Turn
from agents_app.backends.openai import OpenAIBackend

from .stand_in import DONE, KEY, Handler, Recorder, answers, ask, chunk, config, message, serving, streams, usage


def test_an_answer_is_streamed_and_its_usage_told() -> None:
    pieces = streams(chunk("Hel"), chunk("lo "), chunk("you"), chunk(finish="stop"), usage(11, 3), DONE)
    answer, recorder, _ = ask(pieces)
    assert answer == Answer("Hello you", tokens=14, backend="openai", model="tiny", truncated=False)
    assert recorder.deltas == ["Hel", "lo ", "you"]


def test_the_request_carries_model_key_and_the_wish_for_usage() -> None:
    _, _, seen = ask(streams(chunk("x", "stop"), DONE), systemPrompt="Be brief.", maxTokens=7, temperature=0)
    assert seen.bodies == [
        {
            "model": "asked-for",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": 7,
            "temperature": 0.0,
        }
    ]
    assert seen.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_what_is_not_configured_is_not_sent() -> None:
    _, _, seen = ask(streams(chunk("x", "stop"), DONE), apiKey="")
    assert set(seen.bodies[0]) == {"model", "messages", "stream", "stream_options"}
    assert "Authorization" not in seen.headers[0]


def test_the_conversation_is_sent_oldest_first() -> None:
    turns = [Turn("user", "One?"), Turn("assistant", "1"), Turn("user", "Two?"), Turn("assistant", "2")]
    _, _, seen = ask(streams(chunk("x", "stop"), DONE), message("Three?", messages=turns))
    assert [(m["role"], m["content"]) for m in seen.bodies[0]["messages"]] == [
        ("user", "One?"),
        ("assistant", "1"),
        ("user", "Two?"),
        ("assistant", "2"),
        ("user", "Three?"),
    ]


def test_a_task_brings_its_requirements_and_context() -> None:
    task = Request("t", "o", "a", "code", "Sort it", requirements=["fast", "stable"], context={"language": "Python"})
    _, _, seen = ask(streams(chunk("x", "stop"), DONE), task)
    content = seen.bodies[0]["messages"][0]["content"]
    assert content == 'Sort it\n\nRequirements:\n- fast\n- stable\n\nContext:\n{\n "language": "Python"\n}'


def test_an_answer_that_ran_out_of_tokens_is_truncated() -> None:
    answer, _, _ = ask(streams(chunk("Once upon"), chunk(finish="length"), DONE))
    assert (answer.content, answer.truncated) == ("Once upon", True)


def test_without_reported_usage_the_tokens_are_none() -> None:
    answer, _, _ = ask(streams(chunk("many words that a guess could count"), chunk(finish="stop"), DONE))
    assert answer.tokens == 0


def test_usage_that_is_repeated_in_every_chunk_counts_once() -> None:
    counts: list[dict[str, Any]] = [{"prompt_tokens": 5, "completion_tokens": n} for n in (1, 2, 3)]
    pieces = [chunk("x", usage=count) for count in counts]
    answer, _, _ = ask(streams(*pieces, chunk(finish="stop"), DONE))
    assert answer.tokens == 8


@pytest.mark.parametrize("count", [-5, True, "12", 1.5, None, 10**30])
def test_a_usage_that_is_no_count_is_none(count: Any) -> None:
    odd = b"data: " + json.dumps({"choices": [], "usage": {"total_tokens": count}}).encode() + b"\n\n"
    answer, _, _ = ask(streams(chunk("x", "stop"), odd, DONE))
    assert answer.tokens == 0


def test_an_endpoint_that_does_not_stream_is_understood() -> None:
    whole = {
        "model": "whole",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "All at once"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6},
    }
    answer, recorder, _ = ask(answers(200, json.dumps(whole)))
    assert answer == Answer("All at once", tokens=6, backend="openai", model="whole")
    assert recorder.deltas == ["All at once"]


@pytest.mark.parametrize(
    ("refused", "instead"),
    [("stream_options", None), ("max_tokens", "max_completion_tokens"), ("temperature", None)],
)
def test_a_parameter_that_the_endpoint_does_not_know_is_left_out(refused: str, instead: str | None) -> None:
    async def picky(request: web.Request) -> web.StreamResponse:
        if refused in await request.json():
            return web.json_response({"error": {"message": f"Unsupported parameter: '{refused}'"}}, status=400)
        good: Handler = streams(chunk("fine", "stop"), DONE)
        return await good(request)

    answer, _, seen = ask(picky, maxTokens=9, temperature=0.5)
    assert answer.content == "fine"
    assert len(seen.bodies) == 2
    expected = {k: v for k, v in seen.bodies[0].items() if k != refused} | ({instead: 9} if instead else {})
    assert seen.bodies[1] == expected


def test_a_chat_that_is_too_long_for_the_model_is_tried_again_shorter() -> None:
    async def small(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if sum(len(m["content"]) for m in body["messages"]) > 3_000:
            return web.json_response({"error": {"type": "exceed_context_size_error", "message": "no"}}, status=400)
        good: Handler = streams(chunk("fine", "stop"), DONE)
        return await good(request)

    answer, _, seen = ask(small, message("x" * 9_000), contextChars=8_000)
    assert answer.content == "fine"
    assert [len(body["messages"][0]["content"]) for body in seen.bodies] == [8_000, 4_000, 2_000]


@pytest.mark.parametrize("suffix", ["", "/", "/chat/completions", "/chat/completions/"])
def test_base_urls_are_taken_as_people_write_them(suffix: str) -> None:
    async def run() -> str:
        async with serving(streams(chunk("x", "stop"), DONE)) as seen:
            return (await OpenAIBackend().run(message(config=config(seen.url + suffix)), Recorder())).content

    assert asyncio.run(run()) == "x"


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"baseUrl": None}, "config.baseUrl is missing"),
        ({"baseUrl": "ftp://host/v1"}, "config.baseUrl must be an http or https address"),
        ({"baseUrl": "http://[::1"}, "config.baseUrl must be an http or https address"),
        ({"baseUrl": 7}, "config.baseUrl must be an http or https address"),
        ({"model": ""}, "config.model is missing"),
        ({"model": ["a"]}, "config.model must be a string"),
        ({"maxTokens": 0}, "config.maxTokens must be a positive whole number"),
        ({"maxTokens": "many"}, "config.maxTokens must be a positive whole number"),
        ({"temperature": 3}, "config.temperature must be a number from 0 to 2"),
        ({"apiKey": "sk-\nX-Evil: 1"}, "config.apiKey has characters that no key has"),
    ],
)
def test_a_wrong_configuration_is_unready_for_good_and_says_why(broken: dict[str, Any], reason: str) -> None:
    unready = OpenAIBackend().unready(config("http://127.0.0.1:1/v1") | broken)
    assert unready is not None
    assert (unready.reason, unready.for_good) == (reason, True)


def test_a_good_configuration_is_ready_whether_or_not_the_endpoint_is_up() -> None:
    assert OpenAIBackend().unready(config("http://127.0.0.1:1/v1")) is None


def test_what_no_database_takes_is_in_no_answer() -> None:
    answer, recorder, _ = ask(streams(chunk("a\0b\ud800"), chunk("c", "stop"), DONE))
    assert (answer.content, "".join(recorder.deltas)) == ("a�b?c", "a�b?c")
