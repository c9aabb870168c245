"""The files of one workspace: listed, read, written whole or not at all, and deleted. All of it blocks."""

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from django.conf import settings

from .paths import (
    BadPath,
    Full,
    InTheWay,
    Missing,
    TooLarge,
    WorkspaceError,
    parts_for_writing,
    parts_of,
    shown,
)
from .tree import FILE, MOST_FILES, Found, Walk, Way, is_plain, opened, way

# Beside the workspaces: what is being written, in the file system of its destination.
INCOMING = ".incoming"
_OBSTACLES = {
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.EACCES, errno.EPERM),
    *(errno.ENAMETOOLONG, errno.EILSEQ),
}


@contextmanager
def _raising(kind: type[WorkspaceError], message: str) -> Iterator[None]:
    """What is not there, or in the way, as an error of ours; a disk that fails stays an OSError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _OBSTACLES:
            raise
        raise kind(message) from None
    except UnicodeEncodeError:
        raise kind(message) from None


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is open for reading. Whatever takes its place afterwards, this is what it was."""

    file: IO[bytes]
    found: Found
    tag: str  # changes with the content


class Workspace:
    """One session's directory. `quota` is in bytes."""

    def __init__(self, root: Path | str, *, quota: int | None = None, most_files: int = MOST_FILES) -> None:
        self.root = Path(root)
        self.quota = settings.WORKSPACE_QUOTA if quota is None else quota
        self.most_files = most_files

    def files(self) -> tuple[list[Found], bool]:
        """The files by path, and whether these are all."""
        try:
            with _raising(Missing, "."), opened(self.root) as root:
                walk = Walk(root)
                return [file for file in walk if file.plain], not walk.cut
        except Missing:
            return [], True

    def open(self, path: str) -> Opened:
        """A file, to be read and closed by the caller. Raises Missing, also for a path that could name none."""
        with self._finding(path) as there:
            file, about = _open(*there.end)
        found = Found.of("/".join(map(shown, there.names)), about)
        return Opened(file, found, f"{about.st_mtime_ns:x}-{about.st_size:x}-{about.st_ino:x}")

    def write(self, path: str, pieces: Iterable[bytes], *, most: int | None = None) -> tuple[Found, bool]:
        """Put a file there, whole or not at all, with at most `most` bytes; returns whether there was none before.

        Raises BadPath, TooLarge, Full, or InTheWay.
        """
        parts = parts_for_writing(path)
        with self._incoming() as incoming:
            name = secrets.token_hex(16)
            try:
                self._receive(incoming, name, pieces, most)
                return self._put(incoming, name, parts)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=incoming)

    def delete(self, path: str) -> None:
        """Remove a file, and the directories that are empty without it. Raises Missing.

        Of a link, only the link is removed.
        """
        with self._finding(path) as there, self._incoming() as incoming, _alone(incoming):
            folder, name = there.end
            os.unlink(name, dir_fd=folder)
            _prune(there)

    @contextmanager
    def _finding(self, path: str) -> Iterator[Way]:
        try:
            parts = parts_of(path)
        except BadPath:
            raise Missing(path) from None
        with _raising(Missing, path), opened(self.root) as root, way(root, parts) as there:
            yield there

    @contextmanager
    def _incoming(self) -> Iterator[int]:
        place = self.root.parent / INCOMING
        place.mkdir(mode=0o700, exist_ok=True)
        with opened(place) as incoming:
            yield incoming

    def _receive(self, incoming: int, name: str, pieces: Iterable[bytes], most: int | None) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        size = 0
        with os.fdopen(os.open(name, flags, 0o600, dir_fd=incoming), "wb") as file:
            for piece in pieces:
                size += len(piece)
                if most is not None and size > most:
                    raise TooLarge(f"at most {most} bytes")
                if size > self.quota:
                    raise Full(self._full())
                file.write(piece)

    def _put(self, incoming: int, name: str, parts: list[str]) -> tuple[Found, bool]:
        """Move what was received to its place, alone: of two at once, both must not take the last room."""
        with _alone(incoming), _raising(InTheWay, _blocked(parts)), opened(self.root) as root:
            received = os.stat(name, dir_fd=incoming)
            before = _look(root, parts)
            self._check_room(root, received.st_size, before)
            if before and stat.S_ISREG(before.st_mode):
                os.chmod(name, stat.S_IMODE(before.st_mode) & 0o777, dir_fd=incoming)
            with way(root, parts, make=True) as there:
                folder, last = there.end
                os.rename(name, last, src_dir_fd=incoming, dst_dir_fd=folder)
        return Found.of("/".join(parts), received), not (before and is_plain(before))

    def _check_room(self, root: int, size: int, before: os.stat_result | None) -> None:
        walk = Walk(root)
        there = list(walk)
        used = sum(file.size for file in there)
        count = len(there) + 1
        if before and not stat.S_ISDIR(before.st_mode):
            used -= Found.of("", before).size
            count -= 1
        if walk.cut or count > self.most_files:
            raise Full(f"The session has {self.most_files:,} files, as many as it may have.")
        if used + size > self.quota:
            raise Full(self._full())

    def _full(self) -> str:
        return f"The session's files would be larger than {self.quota:,} bytes, which is all that they may be."


def _open(folder: int, name: str) -> tuple[IO[bytes], os.stat_result]:
    """A plain file and what there is to know of it. Raises OSError or Missing."""
    descriptor = os.open(name, FILE, dir_fd=folder)
    about = os.fstat(descriptor)
    if is_plain(about):
        return os.fdopen(descriptor, "rb"), about
    os.close(descriptor)
    raise Missing(name)


@contextmanager
def _alone(incoming: int) -> Iterator[None]:
    """One at a time within the organization, over all processes; the lock ends with the descriptor."""
    fcntl.flock(incoming, fcntl.LOCK_EX)
    yield


def _look(root: int, parts: list[str]) -> os.stat_result | None:
    """What is there now, links not followed."""
    try:
        with way(root, parts) as there:
            folder, name = there.end
            return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _prune(there: Way) -> None:
    for folder, name in reversed(list(zip(there.folders, there.names[:-1], strict=False))):
        try:
            os.rmdir(name, dir_fd=folder)
        except OSError:
            return  # Not empty.


def _blocked(parts: list[str]) -> str:
    return f"Something that is no file, or no directory, is in the way of {'/'.join(parts)}."
