"""Waits for what one alone can have."""

import time

import pytest

from taskmaster.api.waits import Wait
from taskmaster.core.wakeups import hub
from taskmaster.server.holding import Gone
from taskmaster.server.lines import Line

KEY = "lease:test_lines"


@pytest.fixture
def line():
    line = Line(KEY)
    yield line
    for one in list(line._waiting):
        line.leave(one, content=False)


def wait(since=None):
    moment = time.monotonic() if since is None else since
    return Wait(key=KEY, seconds=1, finish=lambda: None, ended=lambda keys: set(), alone=True, since=moment)


def joined(line, count):
    found = [Gone() for _ in range(count)]
    for gone in found:
        line.join(gone, wait())
    return found


def signal():
    hub.hear([[KEY, None]])


def awake(waiting):
    return [gone.is_set() for gone in waiting]


def look(gone):
    """As the edge does when it was woken."""
    gone.clear()
    gone.looking = True


def test_a_signal_wakes_the_longest_waiting_alone(line):
    waiting = joined(line, 3)
    signal()
    assert awake(waiting) == [True, False, False]
    signal()
    assert awake(waiting) == [True, True, False]


def test_whoever_got_something_wakes_the_next(line):
    first, second, third = joined(line, 3)
    signal()
    look(first)
    first.content = True
    line.leave(first, content=True)
    assert awake([second, third]) == [True, False]


def test_whoever_leaves_without_having_looked_hands_the_signal_on(line):
    first, second = joined(line, 2)
    signal()
    line.leave(first, content=False)
    assert second.is_set()


def test_whoever_looked_in_vain_wakes_nobody(line):
    first, second = joined(line, 2)
    signal()
    look(first)
    line.leave(first, content=False)
    assert not second.is_set()


def test_a_signal_while_all_look_is_looked_at_again(line):
    (first,) = joined(line, 1)
    signal()
    look(first)
    signal()
    assert first.is_set()


def test_a_signal_between_the_look_and_the_wait_is_not_lost_and_an_older_one_is_not_news(line):
    began = time.monotonic()
    signal()
    late, fresh = Gone(), Gone()
    line.join(late, wait(since=began))
    assert late.is_set()
    line.join(fresh, wait())
    assert not fresh.is_set()


def test_an_empty_line_hears_nothing(line):
    (first,) = joined(line, 1)
    line.leave(first, content=False)
    signal()
    assert not first.is_set()
    assert KEY not in hub._listeners
