"""Workspaces while somebody else is at them: an agent that swaps what is under way, other callers, other processes."""

import ctypes
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from agents_app.workspaces import Full, Workspace, WorkspaceError, read_text, tree, write_text
from agents_app.workspaces.tree import opened
from tests.api.racing import at_once

from .outside import Outside

ROUNDS = 1000


@contextmanager
def _again_and_again(step: Callable[[], None]) -> Iterator[None]:
    """Take the step in a thread of its own, over and over, while the block runs."""
    enough = threading.Event()

    def run() -> int:
        for taken in itertools.count():
            if enough.is_set():
                return taken
            step()
        raise AssertionError

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        try:
            yield
        finally:
            enough.set()
        assert running.result() > 10


def rounds(done: Collection[Any]) -> Iterator[int]:
    """A thousand, or more until something has been done at all."""
    for number in itertools.count():
        if number >= ROUNDS and done:
            return
        assert number < 100 * ROUNDS
        yield number


def swapping(place: Path, target: Path) -> Callable[[], None]:
    """A step that swaps what is there for a link to the target, or the link for what was there, at one blow."""
    link = place.with_name("aside")
    link.symlink_to(target)
    return exchanging(place, link)


def exchanging(one: Path, other: Path) -> Callable[[], None]:
    """A step that exchanges the two names (Linux)."""
    renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    here, exchange = -100, 2

    def step() -> None:
        if renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange):
            raise OSError(ctypes.get_errno(), "renameat2")

    return step


@pytest.fixture
def folder(workspace: Workspace) -> Path:
    """A folder of the workspace, whose files have the names of those outside."""
    workspace.write("folder/secret", [b"mine"])
    return workspace.root / "folder"


def test_a_folder_swapped_for_a_link_is_never_read_through(
    workspace: Workspace, outside: Outside, folder: Path
) -> None:
    read: list[bytes] = []
    with _again_and_again(swapping(folder, outside.folder)):
        for _ in rounds(read):
            with suppress(WorkspaceError), workspace.open("folder/secret").file as file:
                read.append(file.read())
            with suppress(WorkspaceError):
                read.append(read_text(workspace.root, "folder/secret").encode())
    assert set(read) == {b"mine"}


def test_a_folder_swapped_for_a_link_is_never_listed_through(
    workspace: Workspace, outside: Outside, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is swapped at the worst moment: between being found and being opened."""
    step = swapping(folder, outside.folder)

    def overtaken(name: str | Path, within: int | None = None) -> AbstractContextManager[int]:
        if name == "folder":
            step()
        return opened(name, within)

    monkeypatch.setattr(tree, "opened", overtaken)
    assert workspace.files() == ([], True)
    assert folder.is_symlink()


def test_a_folder_swapped_for_a_link_is_never_written_through(
    workspace: Workspace, outside: Outside, folder: Path
) -> None:
    written: list[int] = []
    with _again_and_again(swapping(folder, outside.folder)):
        for number in rounds(written):
            with suppress(WorkspaceError):
                workspace.write("folder/secret", [b"%d" % number])
                written.append(number)
            if number % 10 == 0:
                with suppress(WorkspaceError):
                    write_text(workspace.root, "folder/new", str(number))
    outside.check_untouched()


def test_a_folder_swapped_for_a_link_is_never_deleted_through(
    workspace: Workspace, outside: Outside, folder: Path
) -> None:
    (folder / "keeps the folder").touch()
    deleted: list[int] = []
    with opened(folder) as real, _again_and_again(swapping(folder, outside.folder)):
        for number in rounds(deleted):
            with suppress(WorkspaceError):
                workspace.delete("folder/secret")
                deleted.append(number)
            os.close(os.open("secret", os.O_CREAT, dir_fd=real))
    outside.check_untouched()


def test_a_file_swapped_for_a_link_is_never_read_through(workspace: Workspace, outside: Outside) -> None:
    workspace.write("file", [b"mine"])
    read: set[bytes] = set()
    with _again_and_again(swapping(workspace.root / "file", outside.secret)):
        for _ in rounds(read):
            with suppress(WorkspaceError), workspace.open("file").file as file:
                read.add(file.read())
    assert read == {b"mine"}


def test_a_file_swapped_for_a_pipe_is_never_waited_for(workspace: Workspace) -> None:
    workspace.write("file", [b"mine"])
    pipe = workspace.root / "pipe"
    os.mkfifo(pipe)
    read: set[bytes] = set()
    with _again_and_again(exchanging(workspace.root / "file", pipe)):
        for _ in rounds(read):
            with suppress(WorkspaceError), workspace.open("file").file as file:
                read.add(file.read())
    assert read == {b"mine"}


def test_of_two_uploads_at_once_one_is_there_whole(workspace: Workspace) -> None:
    workspace.quota = 10**9
    ones, twos = b"1" * 100_000, b"2" * 100_000
    reads: set[bytes] = {ones}
    workspace.write("file", [ones])

    def upload(content: bytes) -> bool:
        pieces = (content[start : start + 1000] for start in range(0, len(content), 1000))
        return workspace.write("file", pieces)[1]

    def read() -> None:
        with workspace.open("file").file as file:
            reads.add(file.read())

    with _again_and_again(read):
        for _ in range(20):
            assert at_once(lambda: upload(ones), lambda: upload(twos)) == [False, False]
            read()
    assert reads <= {ones, twos}
    assert os.listdir(workspace.root.parent / ".incoming") == []


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody rests before the last step, so that those who are not kept apart do meet."""
    rename = os.rename

    def slow_rename(*names: str, **folders: int) -> None:
        time.sleep(0.002)
        rename(*names, **folders)

    monkeypatch.setattr(os, "rename", slow_rename)


@pytest.mark.usefixtures("unhurried")
def test_of_two_first_uploads_at_once_one_is_new(workspace: Workspace) -> None:
    for number in range(10):
        path = f"{number}/file"
        new = at_once(
            lambda path=path: workspace.write(path, [b"1"])[1], lambda path=path: workspace.write(path, [b"2"])[1]
        )
        assert sorted(new) == [False, True]


@pytest.mark.usefixtures("unhurried")
def test_the_last_room_is_given_once(workspace: Workspace) -> None:
    def upload(name: str) -> bool:
        try:
            workspace.write(name, [b"x" * 600])
        except Full:
            return False
        return True

    for _ in range(10):
        assert sorted(at_once(lambda: upload("a"), lambda: upload("b"))) == [False, True]
        (file,) = workspace.files()[0]
        workspace.delete(file.path)


@pytest.mark.usefixtures("unhurried")
def test_a_delete_and_an_upload_of_its_neighbour_do_not_meet(workspace: Workspace) -> None:
    """The folder that the one finds empty is the one that the other writes to."""
    for _ in range(50):
        workspace.write("folder/old", [b"x"])
        at_once(lambda: workspace.delete("folder/old"), lambda: workspace.write("folder/new", [b"x"]))
        assert [file.path for file in workspace.files()[0]] == ["folder/new"]
        workspace.delete("folder/new")


HOLD = """
import sys
from pathlib import Path
import django
django.setup()
from agents_app.workspaces import Workspace

def pieces():
    yield b"x"
    print("receiving", flush=True)
    sys.stdin.read()

Workspace(Path(sys.argv[1]), quota=1000).write("theirs", pieces())
"""


def test_an_upload_that_is_still_coming_in_holds_nobody_up(workspace: Workspace) -> None:
    env = {"DJANGO_SETTINGS_MODULE": "taskmaster.settings", "PATH": os.environ["PATH"]}
    env |= {"TASKMASTER_DATA_DIR": str(workspace.root.parent / "data")}
    command = [sys.executable, "-c", HOLD, str(workspace.root)]
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "receiving\n"
        workspace.write("mine", [b"x" * 900])
        other.kill()
    # What it left is not in the workspace.
    assert [file.path for file in workspace.files()[0]] == ["mine"]
    assert len(os.listdir(workspace.root.parent / ".incoming")) == 1
