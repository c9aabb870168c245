"""What may name a file in a workspace, and what goes wrong there."""

import os
from pathlib import Path
from unicodedata import category

LONGEST_PATH, LONGEST_NAME, DEEPEST = 1024, 255, 32  # bytes, bytes, names in a path
# What a server puts in the place of bytes that are no UTF-8.
REPLACED = "\ufffd"


class WorkspaceError(Exception):
    """Something that cannot be done in a workspace; every such thing is one of these."""


class BadPath(WorkspaceError):
    """A path that leads outside, or that no file here can have."""


class Missing(WorkspaceError):
    """There is no such file; what is no plain file, or has a name outside too, is not there either."""


class InTheWay(WorkspaceError):
    """Something that is no file, or no directory, stands where one is wanted."""


class Full(WorkspaceError):
    """The session's quota of bytes or of files is used up."""


class TooLarge(WorkspaceError):
    """One file is larger than may be taken at once."""


def parts_of(path: str) -> list[str]:
    """The names in a relative path with slashes. Raises BadPath."""
    parts = path.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise BadPath("must be a relative path such as src/main.py")
    if len(parts) > DEEPEST:
        raise BadPath(f"at most {DEEPEST} names deep")
    return parts


def parts_for_writing(path: str) -> list[str]:
    """The same for a file that is to be made, whose name everybody must be able to read. Raises BadPath."""
    parts = parts_of(path)
    if REPLACED in path or not all(map(_is_plain, path)):
        raise BadPath("without backslashes, control characters and others that cannot be printed, and in UTF-8")
    if len(path.encode()) > LONGEST_PATH or any(len(part.encode()) > LONGEST_NAME for part in parts):
        raise BadPath(f"at most {LONGEST_PATH} bytes, each name at most {LONGEST_NAME}")
    return parts


def shown(name: str) -> str:
    """A name as listings tell it: backslashes and what cannot be printed as escapes, such as `a\\nb`."""
    if name.isprintable() and "\\" not in name:
        return name
    return "".join(c if _is_plain(c) else c.encode("unicode_escape").decode() for c in name)


def _is_plain(character: str) -> bool:
    # Not every space is printable to Python; file names of some systems have others.
    return character != "\\" and (character.isprintable() or category(character) == "Zs")


def inside(root: Path, path: str) -> Path:
    """Where `path`, absolute or relative to `root`, really is, links followed. Raises BadPath where that is outside.

    For a path that a child process names. It tells how things are now; `read_text` and `write_text` hold on to it.
    """
    try:
        real = Path(root, path).resolve()
        if real.is_relative_to(Path(root).resolve(strict=True)):
            return real
    except (OSError, RuntimeError, ValueError) as error:
        raise BadPath(f"no path: {type(error).__name__}") from None
    raise BadPath("leads outside of the workspace")


def below(root: Path, path: str) -> str:
    """A path that an agent names, absolute or relative to `root`, as a relative one. Raises BadPath.

    What it says of `..` holds only where no link is followed.
    """
    if "\0" in path:
        raise BadPath("no path")
    spelled = Path(os.path.normpath(Path(root, path)))
    for base in (Path(root), Path(root).resolve()):
        if spelled.is_relative_to(base):
            return spelled.relative_to(base).as_posix()
    raise BadPath("leads outside of the workspace")
