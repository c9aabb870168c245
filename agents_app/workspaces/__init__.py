"""The directories of sessions. Nothing else touches them, but for the agents' own processes, which run in them."""

from .files import Workspace
from .paths import BadPath, Full, InTheWay, Missing, TooLarge, WorkspaceError, inside
from .places import directory, remove, remove_all, some, tidy, workspace
from .texts import read_text, write_text
from .tree import Found

__all__ = [
    "BadPath",
    "Found",
    "Full",
    "InTheWay",
    "Missing",
    "TooLarge",
    "Workspace",
    "WorkspaceError",
    "directory",
    "inside",
    "read_text",
    "remove",
    "remove_all",
    "some",
    "tidy",
    "workspace",
    "write_text",
]
