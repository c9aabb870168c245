"""The process's timers: the next one first, in one thread, however many there are."""

import threading
import time

from workflows_app import timers


def test_they_go_off_in_order_in_one_thread(monkeypatch):
    woken, all_there = [], threading.Event()

    def wake(workflow):
        woken.append((workflow, threading.get_ident()))
        if len(woken) == 1_000:
            all_there.set()

    monkeypatch.setattr(timers, "_wake", wake)
    clock, before = timers._Clock(), threading.active_count()
    for number in reversed(range(10)):
        for _ in range(100):
            clock.add(f"w{number}", 0.1 + number / 50)
    assert threading.active_count() <= before + 1
    assert all_there.wait(10)
    assert [name for name, _ in woken] == [f"w{number}" for number in range(10) for _ in range(100)]
    assert len({thread for _, thread in woken}) == 1


def test_one_that_is_sooner_does_not_wait_for_a_later_one(monkeypatch):
    woken = threading.Event()
    monkeypatch.setattr(timers, "_wake", lambda workflow: woken.set())
    clock = timers._Clock()
    clock.add("later", 60)
    time.sleep(0.05)
    clock.add("sooner", 0.01)
    assert woken.wait(5)


def test_what_fails_does_not_stop_the_others(monkeypatch):
    woken = threading.Event()

    def wake(workflow):
        if workflow == "broken":
            raise RuntimeError
        woken.set()

    monkeypatch.setattr("workflows_app.waking.wake", wake)
    clock = timers._Clock()
    clock.add("broken", 0)
    clock.add("sound", 0.01)
    assert woken.wait(5)
