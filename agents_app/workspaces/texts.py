"""Texts by path, as the protocols of agents read and write them. All of it blocks."""

from pathlib import Path

from .files import Workspace
from .paths import TooLarge, below
from .tree import Found

MOST_TEXT = 16 * 1024 * 1024


def read_text(root: Path | str, path: str) -> str:
    """The text of a file that an agent names, absolute or relative to its workspace.

    Raises BadPath, Missing, TooLarge past 16 MB, or UnicodeDecodeError.
    """
    with Workspace(root).open(below(Path(root), path)).file as file:
        content = file.read(MOST_TEXT + 1)
    if len(content) > MOST_TEXT:
        raise TooLarge(f"at most {MOST_TEXT} bytes")
    return content.decode()


def write_text(root: Path | str, path: str, text: str) -> Found:
    """Put a text where an agent says, absolute or relative to its workspace.

    Raises BadPath, Full, InTheWay, TooLarge past 16 MB, or UnicodeEncodeError.
    """
    return Workspace(root).write(below(Path(root), path), [text.encode()], most=MOST_TEXT)[0]
