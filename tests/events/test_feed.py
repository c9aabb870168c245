"""The live end of the log, where something goes wrong on the way."""

import asyncio

import pytest

from taskmaster.events import feed
from taskmaster.server.event_stream import Stream
from tests.server.listening import Book, Client, follow, settled


class Leaver(Stream):
    """Its client goes away just as it is told something."""

    def take(self, found):
        self._sink.leave()
        raise ConnectionError


@pytest.fixture
def book(monkeypatch):
    return Book(monkeypatch)


def test_one_that_goes_away_takes_nothing_from_the_others(book):
    async def run():
        log = book.log()
        clients = [Client() for _ in range(9)]
        for number, client in enumerate(clients):
            log.fall_behind((Leaver if number % 3 == 1 else Stream)(follow(), client))
        await settled(lambda: len(log.live) == 9)
        for _ in range(3):
            book.write(5)
            await log.advance()
        stayed = [client for client in clients if not client.gone]
        assert len(stayed) == 6
        # No gap, and each of them once.
        assert {client.heard for client in stayed} == {stayed[0].heard}
        assert b"gap" not in stayed[0].heard
        assert stayed[0].sequences == list(range(1, 16))

    asyncio.run(run())


def test_a_database_that_is_away_for_a_moment_takes_nothing_from_anybody(book, monkeypatch):
    monkeypatch.setattr(feed, "LOOK_SECONDS", 0.001)

    async def run():
        log, client = book.log(5), Client()
        book.write(5)
        book.broken = True
        log.fall_behind(Stream(follow(after=0), client))
        await settled(lambda: book.reads >= 3)
        assert client.heard == b""
        book.broken = False
        await settled(lambda: len(log.live) == 1)
        assert client.sequences == [1, 2, 3, 4, 5]

    asyncio.run(run())
