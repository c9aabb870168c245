"""`GET /events/stream`: an organization's events as server-sent events, as they come."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from taskmaster.api.following import Follow, FollowReply
from taskmaster.events.feed import feed
from taskmaster.events.items import Item

Send = Callable[[dict[str, Any]], Awaitable[None]]

KEEP_ALIVE_SECONDS = 15.0
# What one client is written before it has to read; the rest waits in the log.
MOST_BYTES = 64 * 1024


class Sink(Protocol):
    """An answer that has begun."""

    @property
    def is_behind(self) -> bool:
        """Whether the client has to read before more should be written."""
        ...

    def write_part(self, part: bytes) -> bool:
        """Write more of it; False where the client is behind with reading, or has gone."""
        ...

    async def room(self) -> None:
        """Return once there is room for more. Raises ConnectionError where the client has gone."""
        ...


class Blocks:
    """The blocks of the batch that was told last: each is made once for all streams that are told of it."""

    def __init__(self) -> None:
        self._batch: list[Item] = []
        self._made: dict[int, bytes] = {}

    def of(self, item: Item, batch: list[Item]) -> bytes:
        """An event of this batch as a stream tells it."""
        if self._batch is not batch:
            self._batch, self._made = batch, {}
        block = self._made.get(item.sequence)
        if block is None:
            head = f"id: {item.sequence}\nevent: {item.event_type}\ndata: ".encode()
            block = self._made[item.sequence] = head + item.rest + b"\n\n"
        return block


blocks = Blocks()


class Stream:
    """A subscriber of the feed: one client."""

    def __init__(self, follow: Follow, sink: Sink) -> None:
        self.org_id, self.cursor = follow.org_id, follow.after
        self._follow, self._sink = follow, sink

    def take(self, found: list[Item]) -> bool:
        """Write what is wanted of these, until it is enough for now."""
        parts: list[bytes] = []
        size = 0
        for item in found:
            if size >= MOST_BYTES:
                break
            self.cursor = item.sequence
            if self._follow.holds(item):
                parts.append(blocks.of(item, found))
                size += len(parts[-1])
        room = self._sink.write_part(b"".join(parts)) if parts else not self._sink.is_behind
        return room and self.cursor == found[-1].sequence

    async def room(self) -> None:
        """Wait for the client to read. Raises ConnectionError where it has gone."""
        await self._sink.room()

    def gap(self) -> None:
        """Say that events are missing."""
        self._sink.write_part(b'event: gap\ndata: {"after":%d}\n\n' % self.cursor)

    def keep_alive(self) -> None:
        """Say that it is still there, and how far it has come, though nothing of it was wanted."""
        if not self._sink.is_behind:
            self._sink.write_part(b": keep-alive\nid: %d\n\n" % self.cursor)


async def tell(reply: FollowReply, sink: Sink, send: Send, gone: asyncio.Event, *, head: bool) -> None:
    """Tell what there is and what comes, until `gone` is set: the client, its token or the server is at its end."""
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.items()]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if not head:
        sink.write_part(reply.content)
        await _follow(Stream(reply.follow, sink), reply.follow.newest, gone)
        if sink.is_behind:
            return  # The server cuts it off; waiting until it has read might take for ever.
    await send({"type": "http.response.body", "body": b""})


async def _follow(stream: Stream, newest: int, gone: asyncio.Event) -> None:
    feed.join(stream, newest)
    try:
        while not await _set_within(gone, KEEP_ALIVE_SECONDS):
            stream.keep_alive()
    finally:
        feed.leave(stream)


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()
