"""Stands between the server and an agent: all that the agent started ends with it, and it ends with the server.

Run as a program of its own, which imports nothing of ours so that it is small and starts at once:
`keeper.py <descriptor> <program> <argument> …`. The descriptor is a pipe's end; the agent is ended when the other end
is closed, as the kernel does for a server that was killed.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from functools import partial

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
# Its input is closed: seconds that it has to end by itself, then seconds after it is asked to.
BY_ITSELF, WHEN_ASKED = 0.2, 0.3
NOT_STARTED = 127


class Keeper:
    """Has one agent, in a session of its own, and waits for its end or for the server's."""

    def __init__(self, leash: int, command: list[str]) -> None:
        self._leash = leash
        self._news, self._bell = os.pipe()
        self._code: int | None = None
        os.set_blocking(self._bell, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._bell)
        # What may be run is the operator's decision; and there are no threads here.
        self._process = subprocess.Popen(  # noqa: S603
            command,
            start_new_session=True,
            preexec_fn=partial(die_with, os.getpid()),  # noqa: PLW1509
        )

    def keep(self) -> int:
        """Wait, then leave nothing behind; the agent's exit code, 128 and more where a signal ended it."""
        while self._code is None and self._wait(None):
            self._reap()
        for request, patience in ((None, BY_ITSELF), (signal.SIGTERM, WHEN_ASKED)):
            self._end(request, patience)
        self._kill_all()
        return self._code or 0

    def _wait(self, patience: float | None) -> bool:
        """Wait until a child has ended; False where the server let go, or nothing happened in time."""
        watched = [self._news] if patience is not None else [self._news, self._leash]
        ready, _, _ = select.select(watched, [], [], patience)
        if self._news in ready:
            os.read(self._news, 4096)
        return self._news in ready

    def _end(self, request: signal.Signals | None, patience: float) -> None:
        if self._code is None and request is not None:
            self._to_group(request)
        deadline = time.monotonic() + patience
        while self._code is None and (left := deadline - time.monotonic()) > 0:
            self._wait(left)
            self._reap()

    def _kill_all(self) -> None:
        """What outlives its parent becomes our child, so that nothing is left once we have none."""
        self._to_group(signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:
                for child in children():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)
                self._note(*os.waitpid(-1, 0))

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                self._note(*ended)

    def _note(self, pid: int, status: int) -> None:
        if pid == self._process.pid:
            code = os.waitstatus_to_exitcode(status)
            self._code = code if code >= 0 else 128 - code

    def _to_group(self, request: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, request)


def children() -> list[int]:
    """This process's children, ended ones too; none where there is no /proc."""
    if not os.path.isdir("/proc"):
        return []
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and parent_of(name) == os.getpid()]


def parent_of(pid: str) -> int:
    """The parent of a process, 0 for one that is gone."""
    with contextlib.suppress(OSError, IndexError), open(f"/proc/{pid}/stat", "rb") as stat:
        return int(stat.read().rpartition(b")")[2].split()[1])
    return 0


def die_with(parent: int) -> None:
    """Have the kernel kill this process when the keeper is killed."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


def prctl(option: int, value: int) -> None:
    """Linux only; elsewhere nothing happens."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def main() -> None:
    """Start the agent with our own input, output and environment, and keep it."""
    given, command = int(sys.argv[1]), sys.argv[2:]
    leash = os.dup(given)  # a low number, which select can watch, and which the agent does not get
    os.close(given)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        keeper = Keeper(leash, command)
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
        os._exit(NOT_STARTED)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):  # the pipes end with the agent, not with us
        os.dup2(nowhere, descriptor)
    os._exit(keeper.keep())


if __name__ == "__main__":
    main()
