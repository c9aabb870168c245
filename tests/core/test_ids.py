"""Ids: unique, of one shape, and in the order in which they were made."""

import re
import threading
import time
from itertools import pairwise

import pytest

from taskmaster.core import ids
from taskmaster.core.ids import LENGTH, SHAPE, id_factory, new_id


def milliseconds_of(made: str) -> int:
    number = 0
    for character in made.partition("_")[2]:
        number = number * 32 + ids.ALPHABET.index(character)
    return number >> 80


@pytest.mark.parametrize("prefix", ["org", "task", "session", "workflow", "delivery"])
def test_an_id_is_its_prefix_and_26_characters(prefix: str) -> None:
    made = new_id(prefix)
    assert re.fullmatch(prefix + "_[0-9a-hjkmnp-tv-z]{26}", made)
    assert SHAPE.match(made)
    assert len(made) <= LENGTH


@pytest.mark.parametrize("wrong", ["", "task", "task_", "task_0", "TASK_" + "0" * 26, "task_" + "0" * 26 + "\n"])
def test_the_shape_takes_nothing_else(wrong: str) -> None:
    assert not SHAPE.match(wrong)


def test_an_id_tells_when_it_was_made() -> None:
    before = time.time_ns() // 1_000_000
    made = new_id("task")
    assert before <= milliseconds_of(made) <= time.time_ns() // 1_000_000 + 1


def test_ids_of_one_process_are_in_order() -> None:
    made = [new_id("task") for _ in range(20_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_threads_that_race_get_unique_ids_each_in_order() -> None:
    made: list[list[str]] = [[] for _ in range(8)]
    together = threading.Barrier(8)

    def make(mine: list[str]) -> None:
        together.wait()
        mine.extend(new_id("task") for _ in range(20_000))

    threads = [threading.Thread(target=make, args=[mine]) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(mine == sorted(mine) for mine in made)
    assert len(set().union(*made)) == 8 * 20_000


def test_a_clock_that_steps_back_or_stands_still_keeps_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([5_000, 5_000, 4_000, 0, 4_999, 5_000, 5_001])
    monkeypatch.setattr(ids, "_clock", ids._Clock())
    monkeypatch.setattr(ids.time, "time_ns", lambda: next(moments) * 1_000_000)
    made = [new_id("task") for _ in range(7)]
    assert made == sorted(made)
    assert len(set(made)) == 7
    assert [milliseconds_of(one) for one in made] == [5_000] * 6 + [5_001]


def test_the_next_id_cannot_be_told_from_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids.time, "time_ns", lambda: 10**18)
    monkeypatch.setattr(ids, "_clock", ids._Clock())
    numbers = [ids._clock.next() for _ in range(1000)]
    steps = {after - before for before, after in pairwise(numbers)}
    assert len(steps) > 990
    assert min(steps) > 0


def test_a_factory_makes_new_ids_and_can_be_written_into_a_migration() -> None:
    from django.db.migrations.writer import MigrationWriter

    factory = id_factory("task")
    assert factory() < factory()
    assert "new_id" in MigrationWriter.serialize(factory)[0]
