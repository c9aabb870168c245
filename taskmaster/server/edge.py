"""The edge: one ASGI application that has short work done by a fixed pool of threads and does all waiting itself.

A view that has to wait returns its interim reply with a `Wait`. The edge holds the request without a thread or a
database connection until a signal says that the answer is there, and then has it rendered by the pool.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import IO, Any, TypeVar

from django.db import close_old_connections
from django.http.response import HttpResponseBase

from taskmaster.api.downloads import Download
from taskmaster.api.envelope import Reply, refusal
from taskmaster.api.exceptions import translate
from taskmaster.api.following import FollowReply
from taskmaster.api.idempotency import store_final
from taskmaster.api.middleware import UNLIMITED
from taskmaster.api.waits import Wait
from taskmaster.core import log
from taskmaster.core.errors import Overloaded

from .django_handler import DjangoHandler, Scope
from .event_stream import tell
from .holding import Gone, Holding
from .sending import send_file, send_whole
from .stream_limits import Streams, while_valid
from .streaming import stream

logger = logging.getLogger(__name__)

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
T = TypeVar("T")

# Requests that may queue for each thread of the pool before more are told to come back later.
QUEUE_PER_THREAD = 16
MAX_WAITING = 10_000


class Edge:
    """The ASGI application for HTTP."""

    def __init__(self, threads: int) -> None:
        self._django = DjangoHandler()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="requests")
        # Health answers must not queue behind the requests whose trouble they tell of.
        self._health_pool = ThreadPoolExecutor(2, thread_name_prefix="health-requests")
        self._queue_limit = threads * (QUEUE_PER_THREAD + 1)
        self._in_pool = 0
        self.holding = Holding(self.in_pool)
        self._streams = Streams()

    @property
    def connections(self) -> int:
        """The requests that are being answered."""
        return self._in_pool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        ours = scope.get("extensions", {}).get("taskmaster", {})
        response = await self._answer(scope, receive, ours)
        head = scope["method"] == "HEAD"
        if isinstance(response, Download):
            return await send_file(response, send, self.in_pool, head=head)
        if isinstance(response, FollowReply):
            return await self._follow(response, send, ours, head=head)
        wait = getattr(response, "wait", None)
        if isinstance(response, Reply) and wait:
            gone = self.holding.guard(ours)
            if wait.streams:
                with self.holding.entered(wait, gone):
                    return await stream(wait, response, send, self.in_pool, gone)
            response = await self._held(wait, response, gone)
        await send_whole(response, send, head=head)
        return None

    async def in_pool(self, call: Callable[[], T], *, request_id: str | None = None) -> T:
        """Run a call in the pool, with the database at hand."""

        def run() -> T:
            log.request_id.set(request_id)
            try:
                return call()
            finally:
                close_old_connections()

        return await asyncio.get_running_loop().run_in_executor(self._pool, run)

    async def _answer(self, scope: Scope, receive: Receive, ours: dict[str, Any]) -> HttpResponseBase:
        if ours.get("crowded"):
            return refusal(Overloaded(retry_after=1))
        over = ours["body_limit"] if ours.get("body_too_large") else 0
        with ours.get("body") or BytesIO(await _read(receive)) as body:
            return await self._respond(scope, body, over)

    async def _respond(self, scope: Scope, body: IO[bytes], body_over: int) -> HttpResponseBase:
        pool = self._health_pool if scope["path"] in UNLIMITED else self._pool
        if pool is self._pool and (self._in_pool >= self._queue_limit or len(self.holding) >= MAX_WAITING):
            return refusal(Overloaded(retry_after=1))
        self._in_pool += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(pool, self._django.answer, scope, body, body_over)
        finally:
            self._in_pool -= 1

    async def _held(self, wait: Wait, interim: Reply, gone: Gone) -> HttpResponseBase:
        """The answer when it is there, or what there is when the time is over."""
        deadline = asyncio.get_running_loop().time() + wait.seconds
        final: Reply | None = None
        with self.holding.listening(wait, gone):
            more = True
            while more and final is None:
                more = await self.holding.signal(gone, deadline)
                if gone.left:
                    # Nobody was told anything: the same Idempotency-Key again must find the wait as it was.
                    return interim
                final = await self._look(wait, interim["X-Request-ID"])
                gone.content = final is not None
        return interim if final is None else _with_headers_of(interim, final)

    async def _follow(self, reply: FollowReply, send: Send, ours: dict[str, Any], *, head: bool) -> None:
        """Tell events for as long as the client, its token and the server last."""
        org_id = reply.follow.org_id
        if refused := self._streams.refuse(org_id):
            log.request_id.set(reply["X-Request-ID"])
            return await send_whole(_with_headers_of(reply, refusal(refused)), send, head=head)
        gone = self.holding.guard(ours)
        with self._streams.entered(org_id), self.holding.listening(while_valid(reply.follow), gone):
            return await tell(reply, ours["answer"], send, gone, head=head)

    async def _look(self, wait: Wait, request_id: str) -> Reply | None:
        try:
            return await self.in_pool(lambda: _finish(wait), request_id=request_id)
        except Exception as error:
            # Not the interim reply: its commit may not have reached the disk.
            return refusal(translate(error))


def _with_headers_of(interim: HttpResponseBase, final: Reply) -> Reply:
    for name, value in interim.items():
        if name not in final:
            final[name] = value
    return final


def _finish(wait: Wait) -> Reply | None:
    final = wait.finish()
    if final is not None and wait.idempotency is not None:
        store_final(wait.idempotency, final)
    return final


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts) if len(parts) > 1 else parts[0]
