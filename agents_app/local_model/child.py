"""The model's process as its parent sees it. Started as a fresh interpreter: after a fork the library hangs."""

import contextlib
import http.client
import json
import os
import select
import subprocess
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

from .tool import ROOT, Stopped

KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")  # not a word more: the server's secrets are in there, too
LOOK_EVERY = 0.2
PATIENCE = 600.0  # a large file from a slow disk
_RUNNING: "weakref.WeakSet[Child]" = weakref.WeakSet()


class ChildFailed(Exception):
    """The process did not come up or did not stay; the message says how it ended."""


class Child:
    """One run of the model's process. Whoever starts it stops it."""

    def __init__(self, command: Sequence[str], job: dict[str, Any], log: Path) -> None:
        self.log = log
        env = {k: os.environ[k] for k in KEPT if k in os.environ} | {"PYTHONPATH": str(ROOT)}
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as errors:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter with our own arguments
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=env, cwd=ROOT, bufsize=0
            )
        _RUNNING.add(self)
        self._say({**job, "parent": os.getpid()})

    def address(self, stopping: Event, patience: float = PATIENCE) -> str:
        """Wait until it answers; its API's base URL. Raises ChildFailed, or Stopped."""
        end = time.monotonic() + patience
        line = b""
        while not line.endswith(b"\n"):
            self._check(stopping, end)
            if select.select([self._out()], [], [], LOOK_EVERY)[0]:
                line += os.read(self._out(), 4096)
        url = str(json.loads(line)["url"])
        while not healthy(url):
            self._check(stopping, end)
            stopping.wait(LOOK_EVERY)
        return url

    def watch(self, stopping: Event) -> None:
        """Return when `stopping` is set; raise ChildFailed when the process ends before."""
        while not stopping.wait(LOOK_EVERY):
            self._check(stopping, float("inf"))

    def stop(self) -> None:
        """End it at once; it has nothing to save."""
        self.process.kill()
        self.process.wait()
        self.let_go()

    def let_go(self) -> None:
        """Close our ends of the pipes. A forked child that kept one would keep the model's process alive."""
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                if pipe:
                    pipe.close()

    def _say(self, job: dict[str, Any]) -> None:
        if self.process.stdin:
            with contextlib.suppress(BrokenPipeError):  # `address` tells how it ended
                self.process.stdin.write(json.dumps(job).encode() + b"\n")

    def _out(self) -> int:
        assert self.process.stdout
        return self.process.stdout.fileno()

    def _check(self, stopping: Event, end: float) -> None:
        if self.process.poll() is not None:
            raise ChildFailed(f"the model's process ended with code {self.process.returncode}{self._last_words()}")
        if stopping.is_set():
            raise Stopped
        if time.monotonic() > end:
            raise ChildFailed("the model's process does not answer")

    def _last_words(self) -> str:
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 2000))
            lines = log.read().decode(errors="replace").strip().splitlines()
        return f": {lines[-1][:300]}" if lines else ""


def healthy(url: str) -> bool:
    """Whether the model is loaded and answers."""
    at = urlsplit(url)
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _let_go_in_child() -> None:
    for child in list(_RUNNING):
        child.let_go()


os.register_at_fork(after_in_child=_let_go_in_child)
