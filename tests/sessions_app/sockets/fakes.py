"""The writing end of a socket, and events, in memory."""

import asyncio
from datetime import UTC, datetime

import orjson

from taskmaster.events.items import Item

MOMENT = datetime(2024, 1, 1, 12, 0, 0, 250_000, UTC)


class FakeSink:
    """A client that is behind whenever its test says so."""

    def __init__(self):
        self.frames, self.writes, self.closed_with = [], 0, None
        self.can_send, self._behind = True, False
        self._room = asyncio.Event()

    @property
    def is_behind(self):
        return self._behind

    def write_frames(self, frames):
        if not self.can_send:
            raise ConnectionError
        self.writes += 1
        self.frames += unframed(frames)
        return not self.is_behind

    async def room(self):
        while self.is_behind and self.can_send:
            self._room.clear()
            await self._room.wait()

    def stop_reading(self):
        self._behind = True

    def read(self):
        self._behind = False
        self._room.set()

    def serverClose(self, code, reason=""):
        self.closed_with, self.can_send = code, False
        self._room.set()

    @property
    def sequences(self):
        """Of the events it was told."""
        return [frame["sequence"] for frame in self.frames if frame["type"] == "event"]


def unframed(raw):
    """The JSON of frames as they go over the wire, read by the book (RFC 6455, 5.2)."""
    found = []
    while raw:
        assert raw[0] == 0x81, "a whole text frame"
        assert raw[1] < 128, "a server does not mask"
        start, size = 2, raw[1]
        if size == 126:
            start, size = 4, int.from_bytes(raw[2:4], "big")
            assert size > 125
        elif size == 127:
            start, size = 10, int.from_bytes(raw[2:10], "big")
            assert size > 65_535
        found.append(orjson.loads(raw[start : start + size]))
        assert len(raw) >= start + size
        raw = raw[start + size :]
    return found


def item(sequence, event_type="session.expired", **data):
    """An event as it is read from the log."""
    return Item(sequence, event_type, f"evt_{sequence}", MOMENT, orjson.dumps(data).decode())


async def settled(look, seconds=5):
    """Return once it is so."""
    async with asyncio.timeout(seconds):
        while not look():  # noqa: ASYNC110 - nothing tells that nothing more will happen
            await asyncio.sleep(0.001)
