"""The model's process as its parent handles it."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from agents_app.local_model.child import Child, ChildFailed
from agents_app.local_model.tool import Stopped

from .running import COMMAND, alive, until

JOB = {"path": "tiny.gguf", "model": "Tiny", "key": "k", "threads": 1, "context": 100, "max_output": 10, "slots": 1}


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    """A running stand-in."""
    child = Child(COMMAND, JOB, tmp_path / "log")
    yield child
    child.stop()


def test_it_answers_on_loopback(child: Child) -> None:
    assert child.address(Event()).startswith("http://127.0.0.1:")


def test_it_ends_when_its_pipe_is_closed(child: Child) -> None:
    child.address(Event())
    assert child.process.stdin
    child.process.stdin.close()
    assert until(lambda: child.process.poll() is not None, 2)


def test_stopping_it_twice_is_harmless(child: Child) -> None:
    child.address(Event())
    child.stop()
    child.stop()
    assert not alive(child.process.pid)


def test_a_forked_process_does_not_keep_it_alive(child: Child) -> None:
    child.address(Event())
    ready, tell = os.pipe()
    fork = os.fork()
    if fork == 0:
        os.write(tell, b"x")
        time.sleep(30)
        os._exit(0)
    try:
        os.read(ready, 1)
        child.let_go()  # as the end of this process would
        assert until(lambda: child.process.poll() is not None, 2)
    finally:
        os.kill(fork, 9)
        os.waitpid(fork, 0)
        os.close(ready)
        os.close(tell)


def test_waiting_for_one_that_says_nothing_ends(tmp_path: Path) -> None:
    child = Child((sys.executable, "-c", "import time; time.sleep(60)"), JOB, tmp_path / "log")
    stopping = Event()
    try:
        with pytest.raises(ChildFailed, match="does not answer"):
            child.address(stopping, patience=0.5)
        stopping.set()
        with pytest.raises(Stopped):
            child.address(stopping)
    finally:
        child.stop()


def test_one_that_cannot_be_told_its_job_says_how_it_ended(tmp_path: Path) -> None:
    child = Child((sys.executable, "-c", "raise SystemExit('no library')"), JOB, tmp_path / "log")
    try:
        with pytest.raises(ChildFailed, match="ended with code 1: no library"):
            child.address(Event())
    finally:
        child.stop()
