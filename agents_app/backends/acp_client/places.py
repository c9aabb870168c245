"""Where an agent lives while it runs: the folder it works in, a home that is not the server's, and room for scratch."""

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ..base import Request
from .process import to_the_end

LOCALES = ("LANG", "LC_ALL")


@dataclass(frozen=True, slots=True)
class Place:
    """Absolute paths."""

    work: str
    home: str
    scratch: str

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """All that the agent's process is told of this one: nothing of it but where programs are and the language."""
        spoken = {name: os.environ[name] for name in LOCALES if name in os.environ} or {"LANG": "C.UTF-8"}
        path = os.environ.get("PATH", os.defpath)
        return {"PATH": path, "HOME": self.home, "TMPDIR": self.scratch, **spoken, **more}


@asynccontextmanager
async def place(request: Request) -> AsyncIterator[Place]:
    """The session's folder, with the home that the agent has had for this session; else all new, and removed after."""
    made = await asyncio.to_thread(_in_session if request.workspace else _on_its_own, request)
    try:
        yield made
    finally:
        gone = made.scratch if request.workspace else os.path.dirname(made.work)
        await to_the_end(asyncio.to_thread(_remove, gone))


def home_of(workspace: str, agent_id: str) -> str:
    """An agent's home for a session: hidden beside the session's folder."""
    above, name = os.path.split(workspace.rstrip("/"))
    return os.path.join(above, f".{name}.acp", agent_id)


def _in_session(request: Request) -> Place:
    home = home_of(request.workspace, request.agent_id)
    os.makedirs(home, mode=0o700, exist_ok=True)
    return Place(request.workspace, home, tempfile.mkdtemp(prefix=".tmp-", dir=home))


def _on_its_own(request: Request) -> Place:
    root = tempfile.mkdtemp(prefix="taskmaster-acp-")
    for name in ("work", "home", "tmp"):
        os.mkdir(os.path.join(root, name), mode=0o700)
    return Place(*(os.path.join(root, name) for name in ("work", "home", "tmp")))


def _remove(folder: str) -> None:
    """Also what was made unwritable, as the caches of some languages are."""
    for above, names, _ in os.walk(folder):
        for name in names:
            path = os.path.join(above, name)
            if not os.path.islink(path):
                with contextlib.suppress(OSError):
                    os.chmod(path, 0o700)
    shutil.rmtree(folder, ignore_errors=True)
