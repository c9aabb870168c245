"""Those who are equally far behind share a reading, and nobody gets anything but what comes next in the log."""

import asyncio

from taskmaster.events import past as pasts
from taskmaster.events.past import READINGS, Past

from .feeding import ORG, item, settled


class Shelf:
    """A log that is read four events at a time; `gate` holds readings up."""

    def __init__(self, *sequences):
        self.items, self.reads, self.broken = [item(sequence) for sequence in sequences], [], False
        self.gate = asyncio.Event()
        self.gate.set()

    async def read(self, org_id, after):
        self.reads.append((org_id, after))
        await self.gate.wait()
        if self.broken:
            raise OSError
        return [each for each in self.items if each.sequence > after][:4]


def scene(test):
    """A test that runs in a loop, with the events 1 to 40, or those that it says."""

    def run():
        async def play():
            shelf = Shelf(*range(1, 41))
            await test(shelf, Past(shelf.read))

        asyncio.run(play())

    run.__name__ = test.__name__
    return run


def sequences(found):
    return [each.sequence for each in found]


@scene
async def test_a_crowd_at_one_place_is_served_by_one_reading(shelf, past):
    found = await asyncio.gather(*[past.after(ORG, 8) for _ in range(50)])
    assert {id(each) for each in found} == {id(found[0])}
    assert (sequences(found[0]), shelf.reads) == ([9, 10, 11, 12], [(ORG, 8)])
    assert await past.after(ORG, 8) is found[0]
    assert len(shelf.reads) == 1


@scene
async def test_one_in_the_middle_of_what_was_read_gets_the_rest_of_it(shelf, past):
    await past.after(ORG, 8)
    assert sequences(await past.after(ORG, 10)) == [11, 12]
    assert sequences(await past.after(ORG, 11)) == [12]
    assert len(shelf.reads) == 1
    assert sequences(await past.after(ORG, 12)) == [13, 14, 15, 16]
    assert sequences(await past.after(ORG, 7)) == [8, 9, 10, 11]
    assert shelf.reads == [(ORG, 8), (ORG, 12), (ORG, 7)]


@scene
async def test_each_organization_has_a_past_of_its_own(shelf, past):
    await asyncio.gather(past.after(ORG, 8), past.after("org_2", 8))
    await past.after("org_3", 8)
    assert shelf.reads == [(ORG, 8), ("org_2", 8), ("org_3", 8)]


@scene
async def test_what_comes_after_a_hole_is_not_given_to_one_before_it(shelf, past):
    shelf.items = [item(sequence) for sequence in (5, 6)]
    assert sequences(await past.after(ORG, 2)) == [5, 6]
    shelf.items = [item(sequence) for sequence in (3, 4, 5, 6)]
    assert sequences(await past.after(ORG, 2)) == [3, 4, 5, 6]


@scene
async def test_that_there_is_nothing_is_not_remembered(shelf, past):
    assert await past.after(ORG, 40) == []
    shelf.items.append(item(41))
    assert sequences(await past.after(ORG, 40)) == [41]


@scene
async def test_a_failure_is_everybodys_and_the_next_one_reads_again(shelf, past):
    shelf.broken = True
    found = await asyncio.gather(*[past.after(ORG, 8) for _ in range(3)], return_exceptions=True)
    assert ([type(each) for each in found], len(shelf.reads)) == ([OSError] * 3, 1)
    shelf.broken = False
    assert sequences(await past.after(ORG, 8)) == [9, 10, 11, 12]


@scene
async def test_one_that_goes_away_leaves_the_reading_to_the_others(shelf, past):
    shelf.gate.clear()
    first, other = (asyncio.create_task(past.after(ORG, 8)) for _ in range(2))
    await settled(lambda: shelf.reads)
    first.cancel()
    shelf.gate.set()
    assert sequences(await other) == [9, 10, 11, 12]
    assert (first.cancelled(), len(shelf.reads)) == (True, 1)


@scene
async def test_only_a_few_readings_are_remembered(shelf, past):
    for number in range(READINGS + 1):
        await past.after(f"org_{number}", 0)
    await past.after("org_1", 0)
    assert len(shelf.reads) == READINGS + 1
    await past.after("org_0", 0)
    assert len(shelf.reads) == READINGS + 2


def test_a_reading_is_forgotten_after_a_moment(monkeypatch):
    monkeypatch.setattr(pasts, "SECONDS", 0.01)

    @scene
    async def forgetting(shelf, past):
        first = await past.after(ORG, 8)
        await settled(lambda: not past._lately)
        assert await past.after(ORG, 8) is not first

    forgetting()
