"""A file lock that one process of a machine holds, and that ends with it however it ends."""

import contextlib
import fcntl
import os
import weakref
from pathlib import Path

_HELD: "weakref.WeakSet[FileLock]" = weakref.WeakSet()


class FileLock:
    """`flock` on a file of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._file is not None

    def take(self) -> bool:
        """Take the lock if nobody has it."""
        if self._file is None:
            self._file = self._locked(fcntl.LOCK_EX)
            if self._file is not None:
                _HELD.add(self)
        return self._file is not None

    def taken_by_another(self) -> bool:
        """Whether somebody else holds it right now."""
        if self._file is not None:
            return False
        probe = self._locked(fcntl.LOCK_SH)
        if probe is not None:
            os.close(probe)
        return probe is None

    def release(self) -> None:
        """Let go; harmless where nothing is held."""
        file, self._file = self._file, None
        if file is not None:
            fcntl.flock(file, fcntl.LOCK_UN)
            os.close(file)

    def forget(self) -> None:
        """Close without unlocking: in a forked child the lock is still its parent's."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                os.close(file)

    def _locked(self, kind: int) -> int | None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            return None
        return file


def _forget_in_child() -> None:
    # A forked child shares the open file, and would keep the lock when its parent is killed.
    for lock in list(_HELD):
        lock.forget()


os.register_at_fork(after_in_child=_forget_in_child)
