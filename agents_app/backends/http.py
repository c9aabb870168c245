"""An agent behind an HTTP server of its user's own: one signed POST, answered whole or as a stream of events."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing

import aiohttp

from .base import Answer, BackendError, Json, Reporter, Request, Unready
from .wire.agent_answer import WHO, AgentAnswer, ReadJson
from .wire.agent_endpoint import AgentEndpoint
from .wire.refusals import LIMITED, answered, broken
from .wire.session import CONNECT, Connector, Sessions, beginning
from .wire.sse import TooLong, named_events

LONGEST_ANSWER = 4 * 1024 * 1024
LONGEST_ERROR = 64 * 1024
# aiohttp warns of more in one piece.
LONGEST_PIECE = 1 << 20
PASSING = frozenset({408, LIMITED})
TOO_LONG = f"{WHO} answered with more than {LONGEST_ANSWER >> 20} MB"
# An agent may think for as long as its task has time.
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT)
HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
    "Accept-Encoding": "identity",
    "User-Agent": "TaskMaster",
}

# The headers that sign a body: from the secret, the message's id and the exact bytes.
Sign = Callable[[str, str, bytes], Mapping[str, str]]


class HttpBackend:
    """POSTs the request to `config.url`.

    `make_connector` decides which addresses may be dialled and raises `refusal` for the others.
    """

    name = "http"
    remembers = True
    resumes = works_in_files = False

    def __init__(self, *, make_connector: Connector, refusal: type[Exception], sign: Sign, read_json: ReadJson) -> None:
        self._sessions = Sessions(make_connector)
        self._refusal = refusal
        self._sign = sign
        self._read_json = read_json

    async def run(self, request: Request, reporter: Reporter) -> Answer:
        """Have it done. Raises BackendError."""
        endpoint = AgentEndpoint.of(request.config)
        answer = AgentAnswer(request, reporter, self._read_json, endpoint.secrets)
        try:
            await self._post(endpoint, request, answer)
        except self._refusal as error:
            raise BackendError(f"config.url {error}", code="address_refused") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise broken(error, WHO) from None
        if answer.answer is None:
            raise BackendError(f"{WHO} stopped in the middle of its answer", transient=True)
        return answer.answer

    def unready(self, config: Mapping[str, Json]) -> Unready | None:
        """Not configured, for good, or ready: whether it is up shows when it is asked."""
        try:
            AgentEndpoint.of(config)
        except BackendError as error:
            return Unready(str(error), for_good=True)
        return None

    async def close(self) -> None:
        """Close the running loop's connections; a loop that ends as asyncio.run ends does so by itself."""
        await self._sessions.close()

    async def _post(self, endpoint: AgentEndpoint, request: Request, answer: AgentAnswer) -> None:
        body = _body(request)
        signed = self._sign(endpoint.secret, request.task_id, body) if endpoint.secret else {}
        session = await self._sessions.get()
        # Leaving the block in the middle of an answer, as a cancel does, closes the connection.
        async with session.post(
            endpoint.url,
            data=io.BytesIO(body) if len(body) > LONGEST_PIECE else body,
            headers={**HEADERS, **endpoint.headers, **signed},
            allow_redirects=False,
            timeout=TIMEOUT,
        ) as response:
            await _read(response, endpoint, answer)


def _body(request: Request) -> bytes:
    """The request as compact JSON: exactly these bytes are signed and sent."""
    document = {
        "taskId": request.task_id,
        "sessionId": request.session_id,
        "type": request.type,
        "content": request.content,
        "description": request.content,
        "requirements": list(request.requirements),
        "context": dict(request.context),
        "messages": [{"role": turn.role, "content": turn.content} for turn in request.messages],
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


async def _read(response: aiohttp.ClientResponse, endpoint: AgentEndpoint, answer: AgentAnswer) -> None:
    if not 200 <= response.status < 300:
        text = (await beginning(response, LONGEST_ERROR)).decode(errors="replace")
        raise answered(WHO, response.status, response.headers, text, *endpoint.secrets, passing=PASSING)
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in {"identity", ""}:
        raise BackendError(f"{WHO} compressed its answer, which it was not asked for", code="bad_answer")
    if response.content_type == "text/event-stream":
        await _stream(response, answer)
    else:
        pieces = [piece async for piece in _bounded(response)]
        answer.whole(b"".join(pieces))


async def _stream(response: aiohttp.ClientResponse, answer: AgentAnswer) -> None:
    try:
        async with aclosing(named_events(_bounded(response), LONGEST_ANSWER)) as stream:
            async for name, data in stream:
                answer.event(name, data)
                if answer.answer:
                    return
    except TooLong:
        raise BackendError(TOO_LONG, code="answer_too_long") from None


async def _bounded(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    size = 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > LONGEST_ANSWER:
            raise BackendError(TOO_LONG, code="answer_too_long")
        yield piece
        # A server that never stops sending must not keep the loop from everybody else.
        await asyncio.sleep(0)
