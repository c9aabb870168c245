"""Removing directories, whatever agents have left in them: moved away at once, then taken apart."""

import logging
import os
import secrets
from contextlib import suppress
from pathlib import Path

from .tree import opened

logger = logging.getLogger(__name__)

# On Linux a directory can be opened without the right to read it.
_ANY_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def discard(place: Path, trash: Path) -> None:
    """Move a directory into the trash and remove it from there; what cannot be removed now is left to `empty`."""
    trash.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = secrets.token_hex(16)
    try:
        os.rename(place, trash / name)
    except FileNotFoundError:
        return
    with opened(trash) as folder:
        _remove(folder, name)


def empty(trash: Path) -> None:
    """Remove what is still in the trash."""
    with suppress(FileNotFoundError), opened(trash) as folder:
        for name in os.listdir(folder):
            _remove(folder, name)


def _remove(trash: int, name: str) -> None:
    waiting = [name]
    try:
        while waiting:
            waiting += _take_apart(trash, waiting.pop())
    except FileNotFoundError:
        return  # Somebody else is at it.
    except OSError as error:
        logger.warning("a workspace is not removed yet: %s", error.strerror)


def _take_apart(trash: int, name: str) -> list[str]:
    """Remove a directory in the trash; those in it are moved up beside it. Returns their names.

    So no depth is too deep, for the stack or for the number of open files.
    """
    moved: list[str] = []
    _take_over(name, trash)
    with opened(name, trash) as folder:
        for inner in os.listdir(folder):
            try:
                os.unlink(inner, dir_fd=folder)
            except (IsADirectoryError, PermissionError):
                moved.append(secrets.token_hex(16))
                _take_over(inner, folder)
                os.rename(inner, moved[-1], src_dir_fd=folder, dst_dir_fd=trash)
    os.rmdir(name, dir_fd=trash)
    return moved


def _take_over(name: str, folder: int) -> None:
    """Make a directory ours to change, as some tools leave theirs read-only."""
    inner = os.open(name, _ANY_FOLDER, dir_fd=folder)
    try:
        if os.fstat(inner).st_mode & 0o700 != 0o700:
            os.chmod(f"/dev/fd/{inner}", 0o700)
    finally:
        os.close(inner)
