"""Ways for a child process to end with its parent, also when the parent is killed."""

import contextlib
import ctypes
import os
import signal
import sys
import threading

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the parent's starting thread ends. Linux only; elsewhere a no-op."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


def die_at_end_of(pipe: int) -> None:
    """End this process when the other end of the pipe is closed, as the kernel does for a parent that is gone."""

    def watch() -> None:
        while os.read(pipe, 4096):  # not a buffered stream: its lock would abort an interpreter that ends by itself
            pass
        os._exit(0)

    threading.Thread(target=watch, name="leash", daemon=True).start()
