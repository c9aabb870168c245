"""The live end of the log: everybody hears everything once and in order, whatever becomes of the others."""

import asyncio
import random
from functools import partial

import pytest

from taskmaster.core.wakeups import hub
from taskmaster.events.kept import Kept
from taskmaster.events.relay import KEY, WANTED_KEY

from .feeding import ORG, Book, Reader, feeding, item, settled, told


def scene(test=None, *, errors=0):
    """A test that runs in a loop, with a log and a feed of it, and so many errors in the end."""
    if test is None:
        return partial(scene, errors=errors)

    def run(caplog):
        async def play():
            book = Book()
            with feeding(book) as feed:
                await test(book, feed)

        asyncio.run(play())
        assert sum(record.levelname == "ERROR" for record in caplog.records) == errors

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def joined(feed, *readers, newest):
    for reader in readers:
        feed.join(reader, newest)


@scene
async def test_those_who_keep_up_are_handed_one_batch_that_was_read_once(book, feed):
    readers = [Reader() for _ in range(50)]
    joined(feed, *readers, newest=0)
    book.write(4)
    await settled(lambda: all(reader.heard == told(4) for reader in readers))
    assert (book.news_reads, book.past_reads) == (1, 0)
    assert len({id(batch) for reader in readers for batch in reader.batches}) == 1


@scene
async def test_one_that_comes_with_an_older_sequence_hears_everything_from_there_on(book, feed):
    book.write(23)
    readers = [Reader(cursor) for cursor in (0, 7, 22, 23)]
    joined(feed, *readers, newest=23)
    await settled(lambda: all(reader.cursor == 23 for reader in readers))
    book.write(3)
    await settled(lambda: all(reader.cursor == 26 for reader in readers))
    assert [reader.heard for reader in readers] == [told(26, after) for after in (0, 7, 22, 23)]
    assert [reader.gaps for reader in readers] == [[]] * 4


@scene
async def test_one_that_does_not_read_holds_nobody_up_and_gets_all_of_it_later(book, feed):
    slow, fast = Reader(most=2), Reader()
    joined(feed, slow, fast, newest=0)
    for total in range(10, 60, 10):
        book.write(10)
        await settled(lambda total=total: fast.heard == told(total))
    assert slow.heard == [1, 2]
    while slow.cursor < 50:
        before = slow.cursor
        slow.read()
        await settled(lambda before=before: slow.cursor > before)
    assert (slow.heard, slow.gaps) == (told(50), [])
    slow.read()
    book.write(1)
    await settled(lambda: slow.heard == fast.heard == told(51))


@scene
async def test_one_that_is_only_a_moment_behind_finds_it_in_memory(book, feed):
    slow, fast = Reader(most=1), Reader()
    joined(feed, slow, fast, newest=0)
    book.write(4)
    await settled(lambda: fast.heard == told(4))
    while slow.cursor < 4:
        slow.read()
        await asyncio.sleep(0.001)
    assert (slow.heard, book.past_reads) == (told(4), 0)


@scene
async def test_what_comes_while_somebody_is_reading_the_past_is_no_gap(book, feed):
    book.write(3)
    fast, late = Reader(3), Reader(0)
    joined(feed, fast, newest=3)
    await settled(lambda: feed._logs[ORG].live)
    book.gate.clear()
    joined(feed, late, newest=3)
    await settled(lambda: book.past_reads)
    book.write(12)
    await settled(lambda: fast.heard == told(15, 3))
    book.gate.set()
    await settled(lambda: late.heard == told(15))
    assert late.gaps == fast.gaps == []


@scene
async def test_pruned_events_are_told_as_a_gap_to_whoever_is_behind(book, feed):
    book.write(20)
    book.prune(12)
    reader = Reader(4)
    joined(feed, reader, newest=20)
    await settled(lambda: reader.cursor == 20)
    assert (reader.heard, reader.gaps) == (told(20, 12), [4])


@scene
async def test_holes_are_told_where_they_are(book, feed):
    book.write(20)
    book.items = [each for each in book.items if each.sequence not in (3, 4, 9, 12)]
    reader = Reader()
    joined(feed, reader, newest=20)
    await settled(lambda: reader.cursor == 20)
    assert (reader.heard, reader.gaps) == ([each.sequence for each in book.items], [2, 8, 11])


@scene
async def test_a_log_of_which_nothing_is_left_is_a_gap_and_goes_on(book, feed):
    book.write(20)
    gone, book.items = book.items, []
    reader = Reader(4)
    joined(feed, reader, newest=20)
    await settled(lambda: reader.cursor == 20)
    book.items = [item(21)]
    await settled(lambda: reader.heard == [21])
    assert (reader.gaps, len(gone)) == ([4], 20)


@scene
async def test_what_comes_while_somebody_finds_nothing_of_the_past_is_not_lost_with_it(book, feed):
    book.write(6)
    fast, late = Reader(6), Reader(2)
    joined(feed, fast, newest=6)
    await settled(lambda: feed._logs[ORG].live)
    book.prune(6)
    book.gate.clear()
    joined(feed, late, newest=6)
    await settled(lambda: book.past_reads)
    book.items = [item(7), item(8)]
    await settled(lambda: fast.heard == [7, 8])
    book.gate.set()
    await settled(lambda: late.cursor == 8)
    assert (late.heard, late.gaps, fast.gaps) == ([7, 8], [2], [])


@scene
async def test_a_gap_in_what_is_new_is_told_to_all(book, feed):
    readers = [Reader(), Reader()]
    joined(feed, *readers, newest=0)
    await settled(lambda: len(feed._logs[ORG].live) == 2)
    book.items = [item(3), item(4)]
    await settled(lambda: all(reader.heard == [3, 4] for reader in readers))
    assert [reader.gaps for reader in readers] == [[0], [0]]


@scene
async def test_one_that_has_seen_more_than_this_process_hears_nothing_twice(book, feed):
    book.write(2)
    behind = Reader(2)
    joined(feed, behind, newest=2)
    await settled(lambda: feed._logs[ORG].live)
    # The others have not been told of these yet when somebody comes who has read them elsewhere.
    book.write(4)
    ahead = Reader(5)
    joined(feed, ahead, newest=5)
    await settled(lambda: behind.heard == told(6, 2) and ahead.heard == [6])
    assert behind.gaps == ahead.gaps == []


@scene
async def test_one_that_has_gone_takes_nothing_from_the_others(book, feed):
    readers = [Reader() for _ in range(9)]
    joined(feed, *readers, newest=0)
    await settled(lambda: len(feed._logs[ORG].live) == 9)
    for reader in readers[::2]:
        reader.leave()
    book.write(3)
    await settled(lambda: all(reader.heard == told(3) for reader in readers[1::2]))
    assert all(reader.heard == [] for reader in readers[::2])
    await settled(lambda: len(feed._logs[ORG].live) == 4)


@scene(errors=1)
async def test_what_cannot_be_told_to_one_is_told_to_the_others_and_not_tried_for_ever(book, feed):
    class Choosy(Reader):
        def take(self, found):
            if any(each.sequence == 2 for each in found):
                raise ValueError("cannot be told")
            return super().take(found)

    choosy, other = Choosy(), Reader()
    joined(feed, choosy, other, newest=0)
    await settled(lambda: len(feed._logs[ORG].live) == 2)
    book.write(3)
    await settled(lambda: other.heard == told(3))
    book.write(1)
    await settled(lambda: choosy.heard == [4])
    assert (choosy.gaps, other.gaps) == ([0], [])


@scene
async def test_leaving_in_the_middle_of_reading_ends_it(book, feed):
    book.write(30)
    book.gate.clear()
    reader, other = Reader(), Reader(30)
    joined(feed, reader, other, newest=30)
    await settled(lambda: book.past_reads)
    feed.leave(reader)
    feed.leave(reader)
    book.gate.set()
    book.write(1)
    await settled(lambda: other.heard == [31])
    assert reader.heard == []
    feed.leave(other)
    assert (len(feed), feed._logs) == (0, {})


@scene
async def test_leaving_and_coming_back_with_the_same_cursor_loses_nothing(book, feed):
    reader, other = Reader(), Reader()
    joined(feed, reader, other, newest=0)
    for _ in range(30):
        book.write(3)
        feed.leave(reader)
        await asyncio.sleep(0.002)
        joined(feed, reader, newest=book.last)
        await asyncio.sleep(random.random() / 200)
    await settled(lambda: reader.heard == other.heard == told(90))
    assert reader.gaps == other.gaps == []


@scene
async def test_a_database_that_is_away_takes_nothing_from_anybody(book, feed):
    book.write(5)
    live, late = Reader(5), Reader(0)
    joined(feed, live, newest=5)
    await settled(lambda: feed._logs[ORG].live)
    book.broken = True
    joined(feed, late, newest=5)
    book.write(5)
    await settled(lambda: book.past_reads > 3)
    assert live.heard == late.heard == []
    book.broken = False
    await settled(lambda: live.heard == told(10, 5) and late.heard == told(10))
    assert live.gaps == late.gaps == []


@scene
async def test_a_signal_is_enough_and_others_are_not_for_us(book, feed):
    reader = Reader()
    joined(feed, reader, newest=0)
    book.write(2)
    hub.hear([[KEY, {"org_2": 50, ORG: 2}]])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert reader.heard == [1, 2]


@scene
async def test_relays_are_told_as_soon_as_somebody_follows_a_log(book, feed):
    sent = []
    hub_send, hub.send = hub.send, lambda key, data=None: sent.append(key)
    try:
        joined(feed, Reader(), Reader(), newest=0)
    finally:
        hub.send = hub_send
    assert sent == [WANTED_KEY]


@scene
async def test_a_crowd_that_comes_goes_and_dawdles_hears_everything_once(book, feed):
    dice = random.Random(7)
    readers = [Reader(most=dice.choice([None, 1, 3, 7])) for _ in range(40)]
    joined(feed, *readers, newest=0)
    for _ in range(150):
        book.write(dice.randrange(6))
        for reader in dice.sample(readers, 8):
            if dice.random() < 0.3:
                feed.leave(reader)
                joined(feed, reader, newest=book.last)
            reader.read()
        await asyncio.sleep(0)
    while any(reader.cursor < book.last for reader in readers):
        for reader in readers:
            reader.read()
        await asyncio.sleep(0.001)
    assert all(reader.heard == told(book.last) and not reader.gaps for reader in readers)


@pytest.mark.parametrize(("most", "size", "left"), [(4, 10_000, [7, 8, 9, 10]), (100, 50, [9, 10]), (100, 10, [])])
def test_memory_keeps_the_newest_within_its_bounds(most, size, left):
    kept = Kept(most, size)
    kept.extend([item(sequence, 20) for sequence in range(1, 6)])
    kept.extend([item(sequence, 20) for sequence in range(6, 11)])
    first = left[0] if left else 11
    assert [each.sequence for each in kept.after(first - 1, 100)] == left
    assert [each.sequence for each in kept.after(first, 1)] == left[1:2]
    assert kept.after(first - 2, 100) == []
    assert kept.after(10, 100) == []
