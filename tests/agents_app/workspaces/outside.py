"""What nobody must get at, and every way that an agent's process may lay towards it."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

from agents_app.workspaces import Workspace

SECRET = b"the secret"


class Outside:
    """A folder outside of the workspace with a file in it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.secret = folder / "secret"
        self.secret.write_bytes(SECRET)

    def check_untouched(self) -> None:
        """It holds what it held, and nothing more."""
        assert sorted(os.listdir(self.folder)) == ["secret"]
        assert self.secret.read_bytes() == SECRET


def _listen(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


def _dangling(root: Path, outside: Outside) -> None:
    (root / "dangling").symlink_to(outside.folder / "new")


def _link(root: Path, outside: Outside) -> None:
    (root / "link").symlink_to(outside.secret)


def _relative_link(root: Path, outside: Outside) -> None:
    (root / "src").mkdir()
    (root / "src" / "link").symlink_to(os.path.relpath(outside.secret, root / "src"))
    assert (root / "src" / "link").read_bytes() == SECRET


def _link_to_a_link(root: Path, outside: Outside) -> None:
    (root / "first").symlink_to(outside.secret)
    (root / "second").symlink_to("first")


def _folder_link(root: Path, outside: Outside) -> None:
    (root / "door").symlink_to(outside.folder)


def _deep_folder_link(root: Path, outside: Outside) -> None:
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "door").symlink_to(outside.folder)


def _link_to_itself(root: Path, outside: Outside) -> None:
    (root / "loop").symlink_to("loop")


def _hard_link(root: Path, outside: Outside) -> None:
    os.link(outside.secret, root / "hard")


def _pipe(root: Path, outside: Outside) -> None:
    os.mkfifo(root / "pipe")


def _socket(root: Path, outside: Outside) -> None:
    here = os.getcwd()
    os.chdir(root)  # its name may not be long
    try:
        _listen(root / "socket")
    finally:
        os.chdir(here)


def _device_link(root: Path, outside: Outside) -> None:
    (root / "zero").symlink_to("/dev/zero")


def _process_link(root: Path, outside: Outside) -> None:
    (root / "me").symlink_to("/proc/self/environ")


Laid = Callable[[Path, Outside], None]
WAYS: dict[str, tuple[Laid, str]] = {
    "a link to a file": (_link, "link"),
    "a relative link": (_relative_link, "src/link"),
    "a link to a link": (_link_to_a_link, "second"),
    "a link to a folder": (_folder_link, "door/secret"),
    "the folder's link itself": (_folder_link, "door"),
    "a link below folders": (_deep_folder_link, "a/b/door/secret"),
    "a link to nothing": (_dangling, "dangling"),
    "a link to itself": (_link_to_itself, "loop"),
    "a hard link": (_hard_link, "hard"),
    "a pipe": (_pipe, "pipe"),
    "a socket": (_socket, "socket"),
    "a device": (_device_link, "zero"),
    "a file of the kernel": (_process_link, "me"),
}
# Nothing is laid; the path alone would lead out, or names nothing.
BAD_PATHS = {
    "nothing": "",
    "here": ".",
    "up": "..",
    "up and in": "../outside/secret",
    "down and up": "src/../../outside/secret",
    "down and up within": "src/../src/main.py",
    "through here": "./main.py",
    "absolute": "/etc/passwd",
    "absolute, twice": "//etc/passwd",
    "an empty name": "src//main.py",
    "a slash at the end": "src/",
    "NUL": "main.py\0.txt",
    "only NUL": "\0",
    "33 deep": "/".join("a" * 33),
}
# Could name a file, but not one that is made here.
BAD_NAMES = {
    "backslashes": "..\\..\\outside\\secret",
    "a backslash": "src\\main.py",
    "a drive": "C:\\Windows\\system.ini",
    "a line end": "a\nb",
    "a return": "a\rb",
    "an escape": "a\x1b[2Jb",
    "a delete": "a\x7f",
    "right to left": "gpj\u202eexe",
    "a line separator": "a\u2028b",
    "no UTF-8": "a\ufffdb",
    "half a character": "a\ud800b",
    "256 bytes": "x" * 256,
    "256 bytes in fewer characters": "é" * 128,
    "1025 bytes": "/".join(["x" * 204] * 5) + "y",
}
# Strange, and nothing is wrong with them: nobody decodes a path twice, and nothing here is ours.
GOOD_NAMES = [
    "%2e%2e",
    "%2e%2e%2fsecret",
    "..%2f..%2fsecret",
    "...",
    "..secret",
    ".env",
    ".git/config",
    ".Incoming",
    ".incoming",
    ".DELETED/x",
    "README",
    "readme",
    "-rf",
    "~root",
    "$HOME",
    "con.txt",
    "a b\u00a0c",
    "ünï/☃/😀",
    "'\";<script>",
    "x" * 255,
    "/".join("a" * 32),
]


def lay(way: str, workspace: Workspace, outside: Outside) -> str:
    """Lay this way in the workspace; the path of it."""
    laid, path = WAYS[way]
    laid(workspace.root, outside)
    return path
