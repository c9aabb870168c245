"""Any endpoint that speaks OpenAI's chat completions: Ollama, vLLM, a gateway, the embedded model."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import aiohttp

from .base import Answer, BackendError, Json, Reporter, Request, Unready
from .wire.chat import chat
from .wire.completion import LONGEST_ANSWER, Completion
from .wire.endpoint import ModelEndpoint
from .wire.refusals import TooMuch, broken, refused
from .wire.session import Connector, Sessions, beginning, connector
from .wire.sse import TooLong, events

LONGEST_ERROR = 64 * 1024
SHORTEST_CONTEXT = 1_000
# Parameters that some endpoints refuse by name, and what to send instead; None leaves them out.
ADAPTED = {"stream_options": None, "max_tokens": "max_completion_tokens", "temperature": None}

Body = dict[str, Any]


class OpenAIBackend:
    """POSTs `{baseUrl}/chat/completions` and streams the answer.

    `make_connector` lets the caller decide which addresses may be dialled.
    """

    name = "openai"
    remembers = True
    resumes = works_in_files = False

    def __init__(self, *, name: str = "openai", make_connector: Connector = connector) -> None:
        self.name = name
        self._sessions = Sessions(make_connector)

    async def run(self, request: Request, reporter: Reporter) -> Answer:
        """Answer the request. Raises BackendError; where the chat is too long for the model, half of it is tried."""
        endpoint = ModelEndpoint.of(request.config)
        while True:
            try:
                return await self._ask(endpoint, request, reporter)
            except TooMuch:
                if endpoint.context_chars < SHORTEST_CONTEXT:
                    raise
                endpoint = replace(endpoint, context_chars=endpoint.context_chars // 2)

    def unready(self, config: Mapping[str, Json]) -> Unready | None:
        """Not configured, for good, or ready: whether the endpoint is up shows when it is asked."""
        try:
            ModelEndpoint.of(config)
        except BackendError as error:
            return Unready(str(error), for_good=True)
        return None

    async def close(self) -> None:
        """Close the running loop's connections; a loop that ends as asyncio.run ends does so by itself."""
        await self._sessions.close()

    async def _ask(self, endpoint: ModelEndpoint, request: Request, reporter: Reporter) -> Answer:
        body = _body(endpoint, request)
        for _ in ADAPTED:
            try:
                return await self._post(endpoint, body, reporter)
            except _Adapt as adapt:
                body = adapt.body
        return await self._post(endpoint, body, reporter)

    async def _post(self, endpoint: ModelEndpoint, body: Body, reporter: Reporter) -> Answer:
        completion = Completion(reporter, endpoint.api_key)
        session = await self._sessions.get()
        try:
            # Leaving the block in the middle of an answer, as a cancel does, closes the connection.
            async with session.post(
                endpoint.url, json=body, headers=endpoint.headers(), allow_redirects=False
            ) as response:
                await _read(response, completion, endpoint, body)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if not completion.complete:
                raise broken(error) from None
        return self._answer(completion, endpoint)

    def _answer(self, completion: Completion, endpoint: ModelEndpoint) -> Answer:
        truncated = completion.finish == "length"
        if not completion.content.strip():
            ran_out = "had no tokens left to answer with" if truncated else "answered with nothing"
            raise BackendError(f"the model {ran_out}", code="empty_answer", transient=not truncated)
        return Answer(
            completion.content,
            tokens=completion.tokens,
            backend=self.name,
            model=completion.model or endpoint.model,
            truncated=truncated,
        )


class _Adapt(Exception):
    """The endpoint knows some parameter not; `body` does without it."""

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.body = body


def _body(endpoint: ModelEndpoint, request: Request) -> Body:
    body: Body = {
        "model": endpoint.model,
        "messages": chat(request, system=endpoint.system, limit=endpoint.context_chars),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if endpoint.max_tokens is not None:
        body["max_tokens"] = endpoint.max_tokens
    if endpoint.temperature is not None:
        body["temperature"] = endpoint.temperature
    return body


async def _read(response: aiohttp.ClientResponse, completion: Completion, endpoint: ModelEndpoint, body: Body) -> None:
    if response.status != 200:
        text = (await beginning(response, LONGEST_ERROR)).decode(errors="replace")
        _adapt(response.status, text, body)
        raise refused(response.status, response.headers, text, endpoint.api_key)
    if response.content_type == "application/json":
        completion.take((await beginning(response, LONGEST_ANSWER * 4)).decode(errors="replace"))
    elif response.content_type == "text/html":
        raise BackendError("the model endpoint answered with a web page; config.baseUrl is not its API's address")
    else:
        await _stream(response, completion)
    if not completion.complete:
        raise BackendError("the model endpoint stopped in the middle of its answer", transient=True)


async def _stream(response: aiohttp.ClientResponse, completion: Completion) -> None:
    try:
        async with aclosing(events(_chunks(response))) as stream:
            async for data in stream:
                completion.event(data)
                if completion.ended:
                    return
    except TooLong:
        raise BackendError("the model endpoint sent an event of over a megabyte") from None


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async for chunk in response.content.iter_any():
        yield chunk


def _adapt(status: int, text: str, body: Body) -> None:
    """Raise _Adapt where a 400 or 422 names a parameter of ours that can go."""
    if status not in {400, 422}:
        return
    for name, instead in ADAPTED.items():
        if name in body and re.search(rf"\b{name}\b", text):
            rest = {k: v for k, v in body.items() if k != name}
            raise _Adapt(rest | ({instead: body[name]} if instead else {}))
