"""One holder, and a lock that ends with its holder's process even where that had forked."""

import os
import signal
from pathlib import Path

from agents_app.local_model.locks import FileLock


def test_the_second_is_refused_until_the_first_lets_go(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "a.lock"), FileLock(tmp_path / "a.lock")
    assert first.take()
    assert first.take()
    assert not second.take()
    assert (first.held, second.held) == (True, False)
    assert (first.taken_by_another(), second.taken_by_another()) == (False, True)
    first.release()
    assert not second.taken_by_another()
    assert second.take()
    second.release()
    second.release()


def test_a_forked_child_does_not_keep_its_parents_lock(tmp_path: Path) -> None:
    lock, other = FileLock(tmp_path / "a.lock"), FileLock(tmp_path / "a.lock")
    assert lock.take()
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(tell, b"x")
        signal.pause()
        os._exit(0)
    try:
        os.read(ready, 1)
        lock.forget()  # as if this process had died: closed, not unlocked
        assert other.take()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(tell)
        other.release()
