"""Runs a downloading program and watches what it writes: it is ended when it stands still or nobody wants it."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

ROOT = Path(__file__).resolve().parents[2]
LOOK_EVERY = 0.2
# What a downloader may know: how to reach its index, never the server's secrets.
PASSED_ON = ("PIP_", "HF_ENDPOINT", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT", "REQUESTS_CA")
PASSED_ON_EXACTLY = ("PATH", "HOME", "LANG", "LC_ALL", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "LD_LIBRARY_PATH")


class Refused(Exception):
    """A source that did not give the weights, and why, in words for the status."""


class Stopped(Exception):
    """The download is not wanted any more."""


def environment(**more: str) -> dict[str, str]:
    """The environment for a program of ours that needs no secret."""
    kept = {k: v for k, v in os.environ.items() if k in PASSED_ON_EXACTLY or k.upper().startswith(PASSED_ON)}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def size_of(folder: Path) -> int:
    """The bytes in a folder that another program is writing to."""
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size
        except OSError:
            continue
    return total


def run(
    command: Sequence[str],
    *,
    folder: Path,
    env: dict[str, str],
    stopping: Event,
    grew: Callable[[int], None],
    first_byte: float,
    patience: float,
) -> None:
    """Run to a good end. Raises Refused on failure or after `first_byte`, then `patience` seconds without growth."""
    watch = _Watch(folder, stopping, grew, first_byte, patience)
    with tempfile.TemporaryFile() as log:
        try:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter with our own arguments
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd=folder
            )
        except OSError as error:
            raise Refused(f"could not be started ({error.strerror})") from error
        try:
            watch.until_end_of(process)
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            log.seek(0)
            raise Refused(_last_line(log.read()) or f"ended with code {process.returncode}")


@dataclass(frozen=True, slots=True)
class _Watch:
    folder: Path
    stopping: Event
    grew: Callable[[int], None]
    first_byte: float
    patience: float

    def until_end_of(self, process: "subprocess.Popen[bytes]") -> None:
        """Return when it ends; raise when it must not go on."""
        start = size = size_of(self.folder)
        moved = time.monotonic()
        while process.poll() is None:
            if self.stopping.wait(LOOK_EVERY):
                raise Stopped
            before, size = size, size_of(self.folder)
            if size != before:
                moved = time.monotonic()
                self.grew(size - start)
            elif time.monotonic() - moved > (self.first_byte if size == start else self.patience):
                raise Refused("stood still")


def _last_line(output: bytes) -> str:
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
