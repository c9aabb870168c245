"""An event stream in the event loop alone: its blocks, its back pressure, its end."""

import asyncio

import pytest

from taskmaster.api.following import FollowReply
from taskmaster.events.items import Item
from taskmaster.server import event_stream
from taskmaster.server.event_stream import MOST_BYTES, Stream, tell

from .listening import Book, Client, feeding, follow, item, settled


def test_an_event_is_told_as_rest_tells_it_under_its_sequence():
    client = Client()
    assert Stream(follow(), client).take([item(1), item(2, "task.queued", '{"taskId":"t\\nx"}')])
    assert client.heard == (
        b"id: 1\nevent: session.expired\n"
        b'data: {"id":"evt_1","eventType":"session.expired","sequence":1,"timestamp":"2024-01-01T12:00:00.250Z",'
        b'"data":{"sessionId":"s"}}\n\n'
        b"id: 2\nevent: task.queued\n"
        b'data: {"id":"evt_2","eventType":"task.queued","sequence":2,"timestamp":"2024-01-01T12:00:00.250Z",'
        b'"data":{"taskId":"t\\nx"}}\n\n'
    )


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (follow(), [1, 2, 3, 4]),
        (follow(types=frozenset({"task.queued"})), [2, 3]),
        (follow(sessionId="a"), [1, 2]),
        (follow(types=frozenset({"task.queued"}), sessionId="a"), [2]),
        (follow(sessionId="a", taskId="t"), [2]),
        (follow(workflowId="a"), []),
    ],
)
def test_only_what_is_wanted_is_told(wanted, told):
    client = Client()
    stream = Stream(wanted, client)
    found = [
        item(1, data='{"sessionId":"a"}'),
        item(2, "task.queued", '{"sessionId":"a","taskId":"t"}'),
        item(3, "task.queued", '{"sessionId":null,"taskId":"t"}'),
        item(4, data='{"sessionId":"b"}'),
    ]
    assert stream.take(found)
    assert (client.sequences, stream.cursor) == (told, 4)
    assert client.parts == bool(told)


def test_each_block_is_made_once_for_all_streams_of_a_batch(monkeypatch):
    rest, made = Item.rest.fget, []
    monkeypatch.setattr(Item, "rest", property(lambda self: made.append(self.sequence) or rest(self)))
    clients = [Client() for _ in range(3)]
    found = [item(1), item(2), item(3, "task.queued")]
    Stream(follow(types=frozenset({"session.expired"})), clients[0]).take(found)
    assert made == [1, 2]
    for client in clients[1:]:
        Stream(follow(), client).take(found)
    assert made == [1, 2, 3]
    # The same numbers of another organization are other events.
    other = Client()
    Stream(follow(), other).take([item(1, data='{"sessionId":"other"}')])
    assert b"other" in other.heard
    assert clients[1].heard == clients[2].heard != other.heard


def test_a_client_that_does_not_read_costs_little_holds_nobody_up_and_misses_nothing():
    event = {"data": '{"sessionId":"%s"}' % ("x" * 3000)}

    async def run(book, feed):
        slow, fast = Client(most=MOST_BYTES // 2), Client()
        for client in (slow, fast):
            feed.join(Stream(follow(), client), 0)
        for _ in range(4):
            book.write(250, **event)
            await settled(lambda: fast.sequences[-1:] == [book.items[-1].sequence])
        assert fast.sequences == list(range(1, 1001))
        assert MOST_BYTES // 2 < len(slow.heard) < MOST_BYTES + 4000
        while slow.sequences[-1] < 1000:
            before = len(slow.heard)
            slow.read()
            await settled(lambda before=before: len(slow.heard) > before)
            assert len(slow.heard) - before < MOST_BYTES + 4000
        assert slow.sequences == fast.sequences
        slow.read()
        book.write(1, **event)
        await settled(lambda: slow.sequences[-1] == fast.sequences[-1] == 1001)

    fed(run)


def test_what_is_not_wanted_costs_a_client_that_does_not_read_nothing():
    async def run(book, feed):
        stream = Stream(follow(types=frozenset({"task.queued"})), client := Client(most=0))
        feed.join(stream, 0)
        book.write(2000)
        await settled(lambda: stream.cursor == 2000)
        assert client.heard == b""
        book.write(1, event_type="task.queued")
        await settled(lambda: client.sequences == [2001])

    fed(run)


def test_what_is_no_longer_in_the_log_is_told_as_a_gap():
    async def run(book, feed):
        book.write(10)
        del book.items[:6]
        client = Client()
        feed.join(Stream(follow(after=2), client), 10)
        await settled(lambda: client.sequences == [7, 8, 9, 10])
        assert client.heard.startswith(b'event: gap\ndata: {"after":2}\n\nid: 7\n')
        assert client.heard.count(b"gap") == 1

    fed(run)


def test_where_nothing_is_left_the_gap_is_told_and_then_what_comes():
    async def run(book, feed):
        client = Client()
        feed.join(Stream(follow(after=2), client), 10)
        await settled(lambda: client.heard == b'event: gap\ndata: {"after":2}\n\n')
        book.items = [item(11)]
        await settled(lambda: client.sequences == [11])
        assert client.heard.count(b"gap") == 1

    fed(run)


def fed(run):
    """Run it with a log and a feed of its own."""
    book = Book()
    with feeding(book) as feed:
        asyncio.run(run(book, feed))


class Feed:
    """The feed, as far as a stream knows it."""

    def __init__(self, monkeypatch):
        self.joined, self.left = [], []
        monkeypatch.setattr(event_stream, "feed", self)

    def join(self, stream, newest):
        self.joined.append((stream, newest))

    def leave(self, stream):
        self.left.append(stream)


class Answer:
    """What is sent of an answer."""

    def __init__(self, client):
        self.client, self.start, self.whole = client, None, False

    async def send(self, message):
        if message["type"] == "http.response.start":
            assert self.start is None
            self.start = message
        else:
            assert (message["body"], message.get("more_body", False)) == (b"", False)
            self.whole = True


@pytest.fixture
def feed(monkeypatch):
    return Feed(monkeypatch)


def told(client, *, until=lambda: True, head=False, after=5):
    """The answer to a stream that ends as soon as it is so."""
    answer = Answer(client)

    async def run():
        gone = asyncio.Event()
        telling = asyncio.create_task(tell(FollowReply(follow(after)), client, answer.send, gone, head=head))
        await settled(until)
        gone.set()
        await telling

    asyncio.run(run())
    return answer


def test_it_begins_with_its_headers_and_ends_whole(feed):
    client = Client()
    answer = told(client, until=lambda: feed.joined)
    assert answer.start["status"] == 200
    assert answer.start["headers"] == [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-cache"),
        (b"x-accel-buffering", b"no"),
    ]
    assert client.heard == b": connected\nretry: 1000\nid: 5\n\n"
    ((stream, newest),) = feed.joined
    assert (feed.left, newest, stream.cursor, answer.whole) == ([stream], 5, 5, True)


def test_head_follows_nothing(feed):
    client = Client()
    answer = told(client, head=True)
    assert (answer.start["status"], answer.whole) == (200, True)
    assert (client.heard, feed.joined) == (b"", [])


def test_it_is_kept_alive_and_tells_how_far_it_has_come(feed, monkeypatch):
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_SECONDS", 0.01)
    client = Client()

    def come_far():
        if client.heard.count(b"keep-alive") == 2:
            feed.joined[0][0].take([item(6, "task.queued")])
        return client.heard.count(b"keep-alive") >= 4

    told(client, until=come_far)
    _, *rest = client.heard.split(b"\n\n")
    kept = [block for block in rest if block.startswith(b":")]
    assert kept[:2] == [b": keep-alive\nid: 5"] * 2
    assert set(kept[2:]) == {b": keep-alive\nid: 6"}


def test_a_client_that_does_not_read_is_not_kept_alive_and_cut_off_at_the_end(feed, monkeypatch):
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_SECONDS", 0.001)
    client, times = Client(most=0), []
    answer = told(client, until=lambda: times.append(1) or len(times) > 30)
    assert client.heard == b": connected\nretry: 1000\nid: 5\n\n"
    assert (answer.whole, len(feed.left)) == (False, 1)


def test_a_cancelled_one_leaves_the_feed(feed):
    async def run():
        client = Client()
        answer = Answer(client)
        telling = asyncio.create_task(tell(FollowReply(follow()), client, answer.send, asyncio.Event(), head=False))
        await settled(lambda: bool(feed.joined))
        telling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await telling
        assert [stream for stream, _ in feed.joined] == feed.left
        assert not answer.whole

    asyncio.run(run())
