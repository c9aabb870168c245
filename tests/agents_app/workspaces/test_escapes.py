"""No way leads out of a workspace, whatever a caller names and whatever an agent has laid in it."""

import os
from pathlib import Path

import pytest

from agents_app.workspaces import BadPath, InTheWay, Missing, Workspace, inside, read_text, write_text

from .outside import BAD_NAMES, BAD_PATHS, GOOD_NAMES, SECRET, WAYS, Outside, lay

ways = pytest.mark.parametrize("way", WAYS)
bad_paths = pytest.mark.parametrize("path", BAD_PATHS.values(), ids=BAD_PATHS)
bad_names = pytest.mark.parametrize("path", BAD_NAMES.values(), ids=BAD_NAMES)


def content(workspace: Workspace, path: str) -> bytes:
    with workspace.open(path).file as file:
        return file.read()


def paths(workspace: Workspace) -> list[str]:
    return [file.path for file in workspace.files()[0]]


def everything(workspace: Workspace) -> list[str]:
    return sorted(str(path) for path in workspace.root.rglob("*"))


@ways
def test_no_way_is_read(way: str, workspace: Workspace, outside: Outside) -> None:
    path = lay(way, workspace, outside)
    with pytest.raises(Missing):
        workspace.open(path)
    with pytest.raises(Missing):
        read_text(workspace.root, path)


@ways
def test_no_way_is_listed_or_followed(way: str, workspace: Workspace, outside: Outside) -> None:
    lay(way, workspace, outside)
    assert workspace.files() == ([], True)
    workspace.write("mine", [b"x"])
    assert paths(workspace) == ["mine"]


@ways
def test_what_is_written_takes_its_place_or_is_refused(way: str, workspace: Workspace, outside: Outside) -> None:
    path = lay(way, workspace, outside)
    through = path.endswith("/secret")
    before = everything(workspace)
    try:
        _, is_new = workspace.write(path, [b"mine"])
    except InTheWay:
        assert through
        assert everything(workspace) == before
    else:
        assert not through
        assert is_new
        assert content(workspace, path) == b"mine"
    outside.check_untouched()


@ways
def test_a_text_is_written_in_its_place_or_refused(way: str, workspace: Workspace, outside: Outside) -> None:
    path = lay(way, workspace, outside)
    if path.endswith("/secret"):
        with pytest.raises(InTheWay):
            write_text(workspace.root, str(workspace.root / path), "mine")
    else:
        write_text(workspace.root, str(workspace.root / path), "mine")
        assert read_text(workspace.root, path) == "mine"
    outside.check_untouched()


@ways
def test_nothing_is_deleted_through_it(way: str, workspace: Workspace, outside: Outside) -> None:
    path = lay(way, workspace, outside)
    if path.endswith("/secret"):
        with pytest.raises(Missing):
            workspace.delete(path)
    else:
        workspace.delete(path)
        assert not os.path.lexists(workspace.root / path)
    outside.check_untouched()


@ways
def test_nothing_can_be_put_below_it(way: str, workspace: Workspace, outside: Outside) -> None:
    path = lay(way, workspace, outside)
    with pytest.raises(InTheWay):
        workspace.write(f"{path}/new", [b"x"])
    with pytest.raises(InTheWay):
        workspace.write(f"{path}/deep/er", [b"x"])
    outside.check_untouched()


@bad_paths
def test_a_path_that_leads_out_or_nowhere(path: str, workspace: Workspace, outside: Outside) -> None:
    workspace.write("src/main.py", [b"x"])
    with pytest.raises(BadPath):
        workspace.write(path, [b"x"])
    with pytest.raises(Missing):
        workspace.open(path)
    with pytest.raises(Missing):
        workspace.delete(path)
    assert paths(workspace) == ["src/main.py"]
    outside.check_untouched()


@bad_names
def test_a_name_that_none_here_may_have(path: str, workspace: Workspace, outside: Outside) -> None:
    with pytest.raises(BadPath):
        workspace.write(path, [b"x"])
    with pytest.raises(Missing):
        workspace.open(path)
    with pytest.raises(Missing):
        workspace.delete(path)
    assert everything(workspace) == []


@pytest.mark.parametrize("path", GOOD_NAMES)
def test_a_strange_name_is_only_a_name(path: str, workspace: Workspace, outside: Outside) -> None:
    assert workspace.write(path, [b"mine"])[1] is True
    assert paths(workspace) == [path]
    assert content(workspace, path) == b"mine"
    assert (workspace.root / path).read_bytes() == b"mine"
    workspace.delete(path)
    assert everything(workspace) == []
    outside.check_untouched()


def test_names_that_differ_in_case_are_two(workspace: Workspace) -> None:
    workspace.write("README", [b"1"])
    workspace.write("readme", [b"2"])
    assert (content(workspace, "README"), content(workspace, "readme")) == (b"1", b"2")


@pytest.mark.parametrize("name", [b"a\nb", b"a\x1b[2J", b"a\\b", b"\xff\xfe", b"a\xe2\x80\xaeb", b"\\", b"\n"])
def test_a_file_with_any_name_is_listed_and_found_as_it_is_listed(name: bytes, workspace: Workspace) -> None:
    Path(os.fsdecode(os.fsencode(workspace.root) + b"/" + name)).write_bytes(b"theirs")
    (listed,) = paths(workspace)
    assert listed.isprintable()
    assert listed.encode().isascii()
    assert content(workspace, listed) == b"theirs"
    assert workspace.open(listed).found.path == listed
    workspace.delete(listed)
    assert everything(workspace) == []


def test_what_is_listed_is_told_apart(workspace: Workspace) -> None:
    (workspace.root / "a\nb").write_bytes(b"a line end")
    (workspace.root / "a\\nb").write_bytes(b"a backslash")
    assert {path: content(workspace, path) for path in paths(workspace)} == {
        "a\\nb": b"a line end",
        "a\\\\nb": b"a backslash",
    }


def test_a_root_that_has_become_a_link_is_not_followed(workspace: Workspace, outside: Outside) -> None:
    workspace.root.rmdir()
    workspace.root.symlink_to(outside.folder)
    assert workspace.files() == ([], True)
    with pytest.raises(Missing):
        workspace.open("secret")
    with pytest.raises(Missing):
        workspace.delete("secret")
    with pytest.raises(InTheWay):
        workspace.write("secret", [b"x"])
    outside.check_untouched()


class TestInside:
    """The plain check for paths that a child process names."""

    def test_a_path_within_is_told_as_it_really_is(self, workspace: Workspace) -> None:
        root = workspace.root.resolve()
        (root / "src").mkdir()
        (root / "also").symlink_to("src")
        for path in ("src/new.py", str(root / "src/new.py"), "./src/../src/new.py", "also/new.py"):
            assert inside(workspace.root, path) == root / "src/new.py"
        assert inside(workspace.root, ".") == root

    @pytest.mark.parametrize(
        "path", ["..", "../outside/secret", "/etc/passwd", "/", "a/../../outside", "a\0b", "../session2", "\ud800"]
    )
    def test_a_path_outside(self, workspace: Workspace, outside: Outside, path: str) -> None:
        (workspace.root.parent / "session2").mkdir()
        with pytest.raises(BadPath):
            inside(workspace.root, path)

    @pytest.mark.parametrize("way", [way for way in WAYS if "link" in way and "hard" not in way])
    def test_a_link_outside(self, workspace: Workspace, outside: Outside, way: str) -> None:
        with pytest.raises(BadPath):
            inside(workspace.root, lay(way, workspace, outside))

    def test_a_root_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(BadPath):
            inside(tmp_path / "gone", "a")


class TestTexts:
    """What an agent's protocol reads and writes by path."""

    @pytest.mark.parametrize("path", ["{root}/src/a.py", "src/a.py", "./src/a.py", "src/../src/a.py", "src//a.py"])
    def test_a_path_however_it_is_spelled(self, workspace: Workspace, path: str) -> None:
        found = write_text(workspace.root, path.format(root=workspace.root), "é\n")
        assert (found.path, found.size) == ("src/a.py", 3)
        assert read_text(str(workspace.root), path.format(root=workspace.root)) == "é\n"

    @pytest.mark.parametrize(
        "path", ["../outside/secret", "/etc/passwd", "{root}/../../outside/secret", "{root}2/a", "", "{root}", "a\0b"]
    )
    def test_a_path_outside(self, workspace: Workspace, outside: Outside, path: str) -> None:
        path = path.format(root=workspace.root)
        with pytest.raises(BadPath):
            write_text(workspace.root, path, "x")
        with pytest.raises((BadPath, Missing)):
            read_text(workspace.root, path)
        outside.check_untouched()

    def test_a_root_reached_by_a_link_above_it(self, workspace: Workspace, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").symlink_to(workspace.root.parent)
        root = tmp_path / "elsewhere" / "session"
        write_text(root, str(root / "a"), "x")
        assert read_text(root, str(workspace.root / "a")) == "x"

    def test_what_is_no_text(self, workspace: Workspace) -> None:
        workspace.write("a", [SECRET + b"\xff"])
        with pytest.raises(UnicodeDecodeError):
            read_text(workspace.root, "a")
