"""Going through a directory by descriptors. Every step opens a name in an open directory and follows no link, so that
whatever is swapped or moved meanwhile never leads out."""

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from .paths import DEEPEST, Missing, shown

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Not blocking: opening a pipe would wait for whoever writes to it.
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
MOST_FILES = 10_000
MOST_SEEN = 2 * MOST_FILES  # files and directories that are looked at before giving up
LAST_SECOND = 253_402_300_799  # of the year 9999


@dataclass(frozen=True, slots=True)
class Found:
    """A file, by its path as listings tell it; `size` in bytes. `plain` is whether it may be read."""

    path: str
    size: int
    modified: datetime
    plain: bool

    @classmethod
    def of(cls, path: str, about: os.stat_result) -> "Found":
        """What a look at it found."""
        # An agent may give its files any time at all.
        seconds = min(max(about.st_mtime, 0), LAST_SECOND)
        size = about.st_size if stat.S_ISREG(about.st_mode) else 0
        return cls(path, size, datetime.fromtimestamp(seconds, UTC), is_plain(about))


def is_plain(about: os.stat_result) -> bool:
    """Whether it is a file with no other name, which might be outside; one just replaced has no name left."""
    return stat.S_ISREG(about.st_mode) and about.st_nlink <= 1


@contextmanager
def opened(name: str | Path, within: int | None = None) -> Iterator[int]:
    """An open directory, for as long as the block runs. Raises OSError for a link."""
    folder = os.open(name, FOLDER, dir_fd=within)
    try:
        yield folder
    finally:
        os.close(folder)


@dataclass(frozen=True, slots=True)
class Way:
    """The way to a file: the open directories from the root to the one that holds it, and the name in each."""

    folders: list[int]
    names: list[str]

    @property
    def end(self) -> tuple[int, str]:
        """The last directory and the file's name in it."""
        return self.folders[-1], self.names[-1]


@contextmanager
def way(root: int, parts: list[str], *, make: bool = False) -> Iterator[Way]:
    """The way along `parts`, with the directories that are not there yet if `make`. Raises OSError or Missing."""
    with ExitStack() as held:
        found = Way([root], [])
        for part in parts:
            here = found.folders[-1]
            found.names.append(part if make else _named(here, part))
            if len(found.names) < len(parts):
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, 0o700, dir_fd=here)
                found.folders.append(held.enter_context(opened(found.names[-1], here)))
        yield found


def _named(folder: int, part: str) -> str:
    """The name that listings tell as `part`."""
    if "\\" not in part:
        return part
    for name in os.listdir(folder):
        if shown(name) == part:
            return name
    raise Missing


class Walk:
    """One look at everything below an open directory but the directories, sorted by path; links are told of only.

    It gives up after `most` entries; `cut` then says so.
    """

    def __init__(self, root: int, most: int = MOST_SEEN) -> None:
        self._root = root
        self._left = most
        self.cut = False

    def __iter__(self) -> Iterator[Found]:
        return self._below(self._root, "", 1)

    def _below(self, folder: int, within: str, depth: int) -> Iterator[Found]:
        for path, name, about in self._entries(folder, within):
            if not stat.S_ISDIR(about.st_mode):
                yield Found.of(path, about)
            elif depth < DEEPEST:
                # By now it may have gone, or be something else.
                with suppress(OSError), opened(name, folder) as below:
                    yield from self._below(below, path, depth + 1)

    def _entries(self, folder: int, within: str) -> list[tuple[str, str, os.stat_result]]:
        """Path, name and what there is to know; the path of a directory ends in a slash, as it does within others."""
        found: list[Any] = []
        with os.scandir(folder) as entries:
            for entry in islice(entries, self._left + 1):
                with suppress(OSError):
                    about = entry.stat(follow_symlinks=False)
                    slash = "/" if stat.S_ISDIR(about.st_mode) else ""
                    found.append((within + shown(entry.name) + slash, entry.name, about))
        self.cut = self.cut or len(found) > self._left
        found = found[: self._left]
        self._left -= len(found)
        return sorted(found)
