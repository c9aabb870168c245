"""Where the workspaces are: `<data folder>/workspaces/<org id>/<session id>/`, each made when it is first wanted."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from django.conf import settings

from taskmaster.core.ids import SHAPE

from .files import INCOMING, Workspace
from .removal import discard, empty

DELETED = ".deleted"
# What is still being received after this long was left by a process that died.
LEFT_AFTER = 3600.0


def directory(org_id: str, session_id: str) -> Path:
    """The absolute path of a session's directory, which is there afterwards and nobody else's to read."""
    settings.WORKSPACES.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = _place(org_id, session_id)
    place.parent.mkdir(mode=0o700, exist_ok=True)
    place.mkdir(mode=0o700, exist_ok=True)
    return place


def workspace(org_id: str, session_id: str, *, make: bool = False) -> Workspace:
    """A session's files; `make` its directory for whoever is about to write."""
    return Workspace(directory(org_id, session_id) if make else _place(org_id, session_id))


def remove(org_id: str, session_id: str) -> None:
    """Remove a session's directory, if it has one. A disk that fails is left to the sweep."""
    with suppress(OSError):
        discard(_place(org_id, session_id), settings.WORKSPACES / DELETED)
        # What agents of the Agent Client Protocol keep of their conversation, in a home beside it.
        discard(_place(org_id).joinpath(f".{session_id}.acp"), settings.WORKSPACES / DELETED)


def remove_all(org_id: str) -> None:
    """Remove the directories of an organization, for when it is erased."""
    discard(_place(org_id), settings.WORKSPACES / DELETED)


def tidy() -> None:
    """Remove what removals and uploads have left that did not come to their end."""
    empty(settings.WORKSPACES / DELETED)
    for org in _folders(settings.WORKSPACES):
        for left in _in(org / INCOMING):
            with suppress(OSError):
                if left.stat(follow_symlinks=False).st_mtime < time.time() - LEFT_AFTER:
                    os.unlink(left.path)


def _place(*ids: str) -> Path:
    if not all(map(SHAPE.match, ids)):
        raise ValueError("no ids")
    return Path(settings.WORKSPACES, *ids)


def _in(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _folders(folder: Path) -> Iterator[Path]:
    return (Path(entry.path) for entry in _in(folder) if SHAPE.match(entry.name))


def _all() -> Iterator[tuple[str, str]]:
    for org in _folders(settings.WORKSPACES):
        yield from ((org.name, session.name) for session in _folders(org))


class Rounds:
    """All directories in turn, a few at a time, since a sweep must not take longer with every session there is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._round = _all()

    def some(self, count: int) -> list[tuple[str, str]]:
        """The (org id, session id) of the next directories; fewer than `count` end a round."""
        with self._lock:
            found = list(islice(self._round, count))
            if len(found) < count:
                self._round = _all()
            return found


some = Rounds().some
