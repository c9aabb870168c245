"""A worker takes the calls of other processes while it has room, and whatever fails does not stop it."""

import queue
import threading

import pytest
from redis import ConnectionError

from agents_app import callers
from tests.live import until


class Calls:
    """What stands for Redis: calls, and errors that are raised."""

    def __init__(self):
        self.waiting, self.back = queue.Queue(), []

    def take(self, seconds):
        try:
            item = self.waiting.get(timeout=min(seconds, 0.05))
        except queue.Empty:
            return None
        if isinstance(item, Exception):
            raise item
        return item

    def put_back(self, key):
        self.back.append(key)


@pytest.fixture
def standing(monkeypatch):
    found = Calls()
    monkeypatch.setattr(callers, "calls", found)
    monkeypatch.setattr(callers, "RETRY_SECONDS", 0.05)
    return found


@pytest.fixture
def run(standing):
    started = []

    def start(answer, has_room=lambda: True):
        started.append(callers.Callers(answer, has_room))
        started[-1].start()
        return started[-1]

    yield start
    for one in started:
        one.stop()


def test_calls_are_answered(standing, run):
    answered = []
    run(answered.append)
    for key in "abc":
        standing.waiting.put(key)
    until(lambda: sorted(answered) == ["a", "b", "c"], 5)


def test_a_worker_that_is_full_leaves_them_to_others(standing, run):
    answered, room = [], threading.Event()
    run(answered.append, room.is_set)
    standing.waiting.put("a")
    threading.Event().wait(0.3)
    assert (answered, standing.waiting.qsize()) == ([], 1)
    room.set()
    until(lambda: answered == ["a"], 5)


def test_an_error_is_told_and_the_next_call_is_answered(standing, run, caplog):
    answered = []

    def answer(key):
        if key == "bad":
            raise RuntimeError("secret")
        answered.append(key)

    run(answer)
    for item in ("bad", ConnectionError("secret"), "good"):
        standing.waiting.put(item)
    until(lambda: answered == ["good"], 5)
    assert sorted(record.getMessage() for record in caplog.records) == [
        "left for the sweep: RuntimeError",
        "no calls are heard: ConnectionError",
    ]


def test_what_is_taken_while_it_ends_is_put_back(standing, run):
    answered, taking, go = [], threading.Event(), threading.Event()

    def slow(_seconds):
        taking.set()
        go.wait(5)
        return "late"

    standing.take = slow
    ending = run(answered.append)
    taking.wait(5)
    ending.stop()
    go.set()
    until(lambda: standing.back == ["late"] * callers.THREADS, 5)
    assert answered == []
