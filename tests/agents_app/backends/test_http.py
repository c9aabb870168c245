"""The http backend: what it sends, what it takes for an answer, and how it fails."""

import asyncio
import base64
import gzip
import hashlib
import hmac
import io
import json
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from agents_app.backends.base import Answer, BackendError, Request, Turn, Unready
from agents_app.backends.http import HttpBackend
from taskmaster.core import strict_json
from taskmaster.core.outbound import Refused, guarded_connector
from taskmaster.core.signing import signed_headers

from .contract import FAILURES, BackendContract, Failure, Subject
from .situations import begins, breaks, failing, for_ever, other_side
from .stand_in import Handler, Recorder, StandIn, answers, message, serving, streams

SECRET = "whsec_ZG8tbm90LXNob3ctbWU="
KEY = "sk-do-not-show-me"


def backend(*, allow_loopback: bool = True) -> HttpBackend:
    """As the registry makes it."""
    return HttpBackend(
        make_connector=lambda: guarded_connector(allow_loopback=allow_loopback),
        refusal=Refused,
        sign=lambda secret, message_id, body: signed_headers([secret], message_id=message_id, body=body),
        read_json=strict_json.parse,
    )


def config(url: str, **more: Any) -> dict[str, Any]:
    """An agent's configuration that points at the stand-in."""
    return {"url": f"{url}/work?for=us", "secret": SECRET, "headers": {"Authorization": f"Bearer {KEY}"}, **more}


def event(name: str, **data: Any) -> bytes:
    """One event of a streamed answer."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def whole(**members: Any) -> Handler:
    """A whole answer."""
    return answers(200, json.dumps(members))


def ask(handler: Handler, request: Request | None = None, **more: Any) -> tuple[Answer, Recorder, StandIn]:
    """Serve, ask once, and give back all that was seen."""

    async def run() -> tuple[Answer, Recorder, StandIn]:
        recorder, asked = Recorder(), request or message()
        async with serving(handler) as seen:
            fields = {name: getattr(asked, name) for name in asked.__slots__} | {"config": config(seen.url, **more)}
            return await backend().run(Request(**fields), recorder), recorder, seen

    return asyncio.run(run())


def failure(handler: Handler, request: Request | None = None, **more: Any) -> BackendError:
    """The error that asking ends in."""
    with pytest.raises(BackendError) as caught:
        ask(handler, request, **more)
    return caught.value


HANDLERS = {
    **failing(KEY),
    "answers": streams(
        event("progress", progress=0.5, message="half"),
        event("delta", content="Hi "),
        event("delta", content="there"),
        event("completed", tokensUsed=6),
    ),
    "uncounted": streams(event("delta", content="Hi there"), event("completed")),
    "stalls": begins(event("delta", content="Hi"), for_ever),
    "breaks": begins(event("delta", content="Hi"), breaks),
    "nonsense": answers(200, f"[1, 2, {KEY}"),
}


class TestHttpStreaming(BackendContract):
    """An agent that streams; what is no answer will be none next time either."""

    failures = {**FAILURES, "nonsense": Failure(transient=False)}

    @asynccontextmanager
    async def subject(self, situation: str) -> AsyncIterator[Subject]:
        async with other_side(situation, HANDLERS) as there:
            yield Subject(backend(), config(there.url), "Hi there", 6, KEY, there.asked, connected=lambda: there.live)


class TestHttpWhole(BackendContract):
    """An agent that answers all at once; the secret that it must not show is the one that signs."""

    streams = False
    waits = ("silent",)
    failures = {name: TestHttpStreaming.failures[name] for name in ("refused", "limited", "server_error", "gone")}

    @asynccontextmanager
    async def subject(self, situation: str) -> AsyncIterator[Subject]:
        handlers = {
            **failing(SECRET),
            "answers": whole(content="Hi there", tokensUsed=6),
            "uncounted": whole(content="Hi there"),
        }
        async with other_side(situation, handlers) as there:
            yield Subject(
                backend(), config(there.url), "Hi there", 6, SECRET, there.asked, connected=lambda: there.live
            )


def test_it_sends_the_request_as_json() -> None:
    request = Request(
        "task_7",
        "org_1",
        "agent_1",
        "code_review",
        "Look at “this”",
        session_id="session_1",
        requirements=["soon"],
        context={"b": 1, "a": [None, "é"]},
        messages=[Turn("user", "Hello"), Turn("assistant", "Hi")],
    )
    _, _, seen = ask(whole(content="ok"), request)
    assert seen.bodies == [
        {
            "taskId": "task_7",
            "sessionId": "session_1",
            "type": "code_review",
            "content": "Look at “this”",
            "description": "Look at “this”",
            "requirements": ["soon"],
            "context": {"b": 1, "a": [None, "é"]},
            "messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}],
        }
    ]
    assert list(seen.bodies[0]["context"]) == ["b", "a"]
    assert seen.paths == ["/v1/work?for=us"]
    headers = seen.headers[0]
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["Accept-Encoding"] == "identity"
    assert headers["Content-Length"] == str(len(seen.raw[0]))


def test_it_signs_the_exact_bytes_like_a_webhook() -> None:
    _, _, seen = ask(whole(content="ok"))
    headers, body = seen.headers[0], seen.raw[0]
    expected = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-TaskMaster-Signature"] == f"sha256={expected}"
    assert headers["webhook-id"] == "task_1"
    content = f"task_1.{headers['webhook-timestamp']}.".encode() + body
    standard = hmac.new(b"do-not-show-me", content, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(standard).decode()}"


@pytest.mark.parametrize("secret", [None, ""])
def test_without_a_secret_nothing_is_signed(secret: str | None) -> None:
    _, _, seen = ask(whole(content="ok"), secret=secret, headers=None)
    names = {name.lower() for name in seen.headers[0]}
    assert not names & {"x-taskmaster-signature", "webhook-id", "webhook-timestamp", "webhook-signature"}
    assert "authorization" not in names


def test_a_long_conversation_is_sent_whole() -> None:
    request = message(messages=[Turn("user", "x" * 3_000_000)])
    _, _, seen = ask(whole(content="ok"), request)
    assert len(seen.bodies[0]["messages"][0]["content"]) == 3_000_000


@pytest.mark.parametrize(
    ("told", "is_message", "answer"),
    [
        ({"content": "Hi"}, True, Answer("Hi", None, 0, "http")),
        ({"content": "Hi", "tokensUsed": 5, "model": "m"}, True, Answer("Hi", None, 5, "http", "m")),
        ({"content": "Hi", "result": {"a": 1}}, True, Answer("Hi", {"content": "Hi", "a": 1}, 0, "http")),
        ({"content": "Hi", "result": {"content": "Ho"}}, False, Answer("Hi", {"content": "Ho"}, 0, "http")),
        ({"result": {"content": "Ho", "a": 1}}, False, Answer("Ho", {"content": "Ho", "a": 1}, 0, "http")),
        ({"result": {"é": 1}}, False, Answer('{"é": 1}', {"é": 1}, 0, "http")),
        ({"result": {"é": 1}}, True, Answer('{"é": 1}', {"content": '{"é": 1}', "é": 1}, 0, "http")),
        ({"content": "", "result": {}}, False, Answer("", {"content": ""}, 0, "http")),
        ({"content": "Hi", "tokensUsed": True}, True, Answer("Hi", None, 0, "http")),
        ({"content": "Hi", "tokensUsed": -3}, True, Answer("Hi", None, 0, "http")),
        ({"content": "Hi", "tokensUsed": "many", "model": 7, "more": []}, True, Answer("Hi", None, 0, "http")),
    ],
)
def test_what_it_takes_for_an_answer(told: dict[str, Any], is_message: bool, answer: Answer) -> None:
    request = Request("task_1", "org_1", "agent_1", "review", "Look", is_message=is_message)
    found, recorder, _ = ask(whole(**told), request)
    assert found == answer
    assert recorder.deltas == []


def test_a_created_answer_counts_too_and_so_does_one_with_no_content_type() -> None:
    assert ask(answers(201, '{"content": "made"}'))[0].content == "made"
    assert ask(answers(200, '{"content": "plain"}', "text/plain"))[0].content == "plain"


def test_a_stream_tells_its_progress_and_its_log() -> None:
    answer, recorder, _ = ask(
        streams(
            b": a comment\n\n",
            event("progress", progress=0.25, message=f"with {KEY}"),
            event("progress", progress=7),
            event("progress", progress="most"),
            event("log", message=f"line of {SECRET}"),
            event("log", line="no message"),
            event("news", of="nothing we know"),
            event("delta", content="so "),
            event("delta", content="far"),
            event("completed", content="so far so good", result={"ok": True}, tokensUsed=3, model="mine"),
            event("delta", content="too late"),
        )
    )
    result = {"content": "so far so good", "ok": True}
    assert answer == Answer("so far so good", result, 3, "http", "mine")
    assert recorder.deltas == ["so ", "far"]
    assert recorder.steps == [(0.25, "with [hidden]"), (1.0, "")]
    assert recorder.lines == ["line of [hidden]"]


@pytest.mark.parametrize(("retryable", "transient"), [(True, True), (False, False), (None, False), ("yes", False)])
def test_a_stream_may_end_in_a_failure(retryable: Any, transient: bool) -> None:
    told = event("failed", error=f"no luck\nwith {KEY}", retryable=retryable, tokensUsed=9)
    error = failure(streams(event("delta", content="Hm"), told))
    assert str(error) == "the agent's server failed: no luck with [hidden]"
    assert (error.transient, error.tokens) == (transient, 9)


def test_a_stream_that_ends_early_may_go_better_next_time() -> None:
    error = failure(streams(event("delta", content="half of")))
    assert str(error) == "the agent's server stopped in the middle of its answer"
    assert error.transient is True


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "its answer is not JSON that can be taken: it is empty"),
        ("<html>", "its answer is not JSON that can be taken: Expecting value at line 1 column 1"),
        ("[]", "its answer is not a JSON object"),
        ("{}", "its answer has neither content nor result"),
        ('{"content": ""}', "its answer has neither content nor result"),
        ('{"content": null, "result": null}', "its answer has neither content nor result"),
        ('{"content": 7}', "the content of its answer is not a string"),
        ('{"result": "done"}', "the result of its answer is not an object"),
        ('{"content": "x", "result": [1]}', "the result of its answer is not an object"),
        (
            '{"content": "\\u0000"}',
            "its answer is not JSON that can be taken: a string holds NUL or half of a surrogate",
        ),
        (
            '{"content": "\\ud800"}',
            "its answer is not JSON that can be taken: a string holds NUL or half of a surrogate",
        ),
        ('{"result": {"x": NaN}}', "its answer is not JSON that can be taken: NaN is not JSON"),
        ('{"result": ' + '{"x":' * 200 + "1" + "}" * 201, "its answer is not JSON that can be taken: it is nested"),
    ],
)
def test_nonsense_is_a_permanent_failure_that_says_why(body: str, said: str) -> None:
    error = failure(answers(200, body))
    assert str(error).startswith(f"the agent's server answered nonsense: {said}")
    assert (error.code, error.transient) == ("bad_answer", False)


@pytest.mark.parametrize(
    "piece", [b"event: delta\ndata: {oops\n\n", event("delta", text="x"), b"event: completed\ndata: 1\n\n"]
)
def test_nonsense_in_a_stream_is_one_too(piece: bytes) -> None:
    error = failure(streams(piece, event("completed", content="fine")))
    assert (error.code, error.transient) == ("bad_answer", False)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 599])
def test_what_may_pass_is_transient(status: int) -> None:
    error = failure(answers(status, '{"error": "busy"}', **{"Retry-After": "3"}))
    assert str(error) == f"the agent's server answered {status}: busy"
    assert (error.transient, error.retry_after, error.limited) == (True, 3_000, status == 429)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 409, 410, 413, 422, 425])
def test_what_will_not_pass_is_permanent(status: int) -> None:
    error = failure(answers(status, '{"error": "no: context length"}', **{"Retry-After": "3"}))
    assert str(error) == f"the agent's server answered {status}: no: context length"
    assert (error.transient, error.retry_after, error.limited) == (False, None, False)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    async def run() -> tuple[BackendError, StandIn]:
        async with serving(whole(content="stolen")) as thief:
            async with serving(answers(status, "", Location=f"{thief.url}/work")) as seen:
                with pytest.raises(BackendError) as caught:
                    await backend().run(message(config=config(seen.url)), Recorder())
            return caught.value, thief

    error, thief = asyncio.run(run())
    assert error.transient is False
    assert "redirects are not followed" in str(error)
    assert thief.raw == []


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
def test_an_endless_answer_ends_at_the_limit(content_type: str) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        while True:
            await response.write(b": " + b"x" * 65_533 + b"\n")

    error = failure(endless)
    assert str(error) == "the agent's server answered with more than 4 MB"
    assert (error.code, error.transient) == ("answer_too_long", False)


def test_an_answer_just_within_the_limit_is_taken() -> None:
    body = {"content": "x" * (4 * 1024 * 1024 - len('{"content": ""}'))}
    assert len(ask(whole(**body))[0].content) == len(body["content"])
    assert failure(whole(content=body["content"] + "x")).code == "answer_too_long"


def test_a_compressed_answer_is_refused_before_it_is_read() -> None:
    error = failure(answers(200, "{}", **{"Content-Encoding": "gzip"}))
    assert (error.code, error.transient) == ("bad_answer", False)
    assert "compressed" in str(error)


def test_a_bomb_in_a_refusal_is_not_unpacked() -> None:
    bomb = io.BytesIO()
    with gzip.GzipFile(fileobj=bomb, mode="wb") as file:
        for _ in range(64):
            file.write(b" " * (1 << 20))

    async def refuses(request: web.Request) -> web.StreamResponse:
        return web.Response(status=400, body=bomb.getvalue(), headers={"Content-Encoding": "gzip"})

    tracemalloc.start()
    try:
        assert failure(refuses).transient is False
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/", "http://[::1]:9/", "http://localhost:9/", "http://10.0.0.1/", "http://metadata/"]
)
def test_a_private_place_is_never_called(url: str) -> None:
    with pytest.raises(BackendError) as caught:
        asyncio.run(backend(allow_loopback=False).run(message(config={"url": url}), Recorder()))
    assert str(caught.value).startswith("config.url may not lead to a")
    assert (caught.value.code, caught.value.transient) == ("address_refused", False)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({}, "config.url is missing"),
        ({"url": 7}, "config.url must be an http or https address"),
        ({"url": "ftp://example.com/"}, "config.url must be an http or https address"),
        ({"url": "http://[::1"}, "config.url must be an http or https address"),
        ({"secret": 7}, "config.secret must be a string"),
        ({"headers": ["a"]}, "config.headers must be an object of at most 50 strings"),
        ({"headers": {f"X-{n}": "y" for n in range(51)}}, "config.headers must be an object of at most 50 strings"),
        ({"headers": {"X Y": "z"}}, "config.headers has a name that no header has: 'X Y'"),
        ({"headers": {"X-A": "a\r\nX-B: b"}}, "config.headers has a value that no header has, for X-A"),
        ({"headers": {"X-A": 7}}, "config.headers has a value that no header has, for X-A"),
        ({"headers": {"Host": "inside"}}, "config.headers may not set Host"),
        ({"headers": {"transfer-Encoding": "chunked"}}, "config.headers may not set transfer-Encoding"),
        ({"headers": {"Webhook-Signature": "v1,x"}}, "config.headers may not set Webhook-Signature"),
    ],
)
def test_a_wrong_configuration_is_unready_for_good(wrong: dict[str, Any], reason: str) -> None:
    configured = {"url": "https://example.com/", **wrong} if wrong else {}
    assert backend().unready(configured) == Unready(reason, for_good=True)
    with pytest.raises(BackendError) as caught:
        asyncio.run(backend().run(message(config=configured), Recorder()))
    assert (str(caught.value), caught.value.code) == (reason, "not_configured")


def test_a_secret_and_headers_are_optional() -> None:
    assert backend().unready({"url": "https://example.com/", "secret": None, "headers": {}}) is None
