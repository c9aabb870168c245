"""What is put into a workspace comes out of it, within the quota, whole or not at all."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.conf import settings

from agents_app.workspaces import Full, InTheWay, Missing, TooLarge, Workspace, write_text
from agents_app.workspaces.tree import MOST_FILES, Walk, opened


def content(workspace: Workspace, path: str) -> bytes:
    with workspace.open(path).file as file:
        return file.read()


def paths(workspace: Workspace) -> list[str]:
    return [file.path for file in workspace.files()[0]]


def leftovers(workspace: Workspace) -> list[str]:
    """What is lying where files are received."""
    return os.listdir(workspace.root.parent / ".incoming")


def test_an_empty_one_has_no_files(workspace: Workspace) -> None:
    assert workspace.files() == ([], True)


def test_one_that_is_not_there_has_no_files(tmp_path: Path) -> None:
    missing = Workspace(tmp_path / "org" / "session")
    assert missing.files() == ([], True)
    with pytest.raises(Missing):
        missing.open("a")


def test_a_file_is_new_once(workspace: Workspace) -> None:
    before = datetime.now(UTC).timestamp()
    found, is_new = workspace.write("src/main.py", [b"print(", b"1)"])
    assert (found.path, found.size, is_new) == ("src/main.py", 8, True)
    assert before - 1 < found.modified.timestamp() < before + 60
    assert workspace.write("src/main.py", [b"new"])[1] is False
    assert content(workspace, "src/main.py") == b"new"
    assert leftovers(workspace) == []


def test_a_file_may_be_empty(workspace: Workspace) -> None:
    assert workspace.write("a", [])[0].size == 0
    assert content(workspace, "a") == b""


def test_the_list_is_sorted_by_the_whole_path(workspace: Workspace) -> None:
    made = ["b", "a/b/c", "a-b", "a.txt", "a/a", "A", "a0", "ä", ".a"]
    for path in made:
        workspace.write(path, [b"x"])
    assert paths(workspace) == sorted(made)


def test_what_is_written_is_for_nobody_else(workspace: Workspace) -> None:
    workspace.write("a/b", [b"x"])
    assert (workspace.root / "a").stat().st_mode & 0o777 == 0o700
    assert (workspace.root / "a/b").stat().st_mode & 0o777 == 0o600


def test_a_replaced_file_stays_a_program(workspace: Workspace) -> None:
    script = workspace.root / "run.sh"
    script.write_text("old")
    script.chmod(0o4755)
    workspace.write("run.sh", [b"new"])
    assert script.stat().st_mode & 0o7777 == 0o755


def test_a_reader_keeps_what_it_has_opened(workspace: Workspace) -> None:
    workspace.write("a", [b"old"])
    opened_file = workspace.open("a")
    workspace.write("a", [b"new content"])
    with opened_file.file as file:
        assert (file.read(), opened_file.found.size) == (b"old", 3)
    assert workspace.open("a").tag != opened_file.tag


def test_deleting_takes_the_empty_folders_along(workspace: Workspace) -> None:
    for path in ("a/b/c/one", "a/b/two"):
        workspace.write(path, [b"x"])
    workspace.delete("a/b/c/one")
    assert not (workspace.root / "a/b/c").exists()
    workspace.delete("a/b/two")
    assert os.listdir(workspace.root) == []
    with pytest.raises(Missing):
        workspace.delete("a/b/two")


def test_a_folder_is_no_file(workspace: Workspace) -> None:
    workspace.write("a/b", [b"x"])
    for call in (workspace.open, workspace.delete):
        with pytest.raises(Missing):
            call("a")
    with pytest.raises(InTheWay):
        workspace.write("a", [b"y"])
    assert paths(workspace) == ["a/b"]
    assert leftovers(workspace) == []


def test_a_file_is_no_folder(workspace: Workspace) -> None:
    workspace.write("a", [b"x"])
    with pytest.raises(InTheWay):
        workspace.write("a/b/c", [b"y"])
    with pytest.raises(Missing):
        workspace.open("a/b")
    assert (paths(workspace), content(workspace, "a")) == (["a"], b"x")
    assert leftovers(workspace) == []


@pytest.mark.parametrize("seconds", [-(2**40), -1, 2**33, 2**42])
def test_a_file_of_any_time_is_listed(workspace: Workspace, seconds: int) -> None:
    workspace.write("a", [b"x"])
    os.utime(workspace.root / "a", (seconds, seconds))
    ((file,), _) = workspace.files()
    assert 1970 <= file.modified.year <= 9999


class TestQuota:
    """1,000 bytes and 10 files."""

    def test_up_to_the_quota_and_no_byte_more(self, workspace: Workspace) -> None:
        workspace.write("a", [b"x" * 600])
        with pytest.raises(Full, match=r"1,000 bytes"):
            workspace.write("new/b", [b"x" * 401])
        assert sorted(os.listdir(workspace.root)) == ["a"]
        assert leftovers(workspace) == []
        workspace.write("new/b", [b"x" * 400])

    def test_a_file_larger_than_the_quota_is_not_even_received(self, workspace: Workspace) -> None:
        taken = []

        def pieces() -> Iterator[bytes]:
            for number in range(100):
                taken.append(number)
                yield b"x" * 100

        with pytest.raises(Full):
            workspace.write("a", pieces())
        assert len(taken) == 11
        assert (os.listdir(workspace.root), leftovers(workspace)) == ([], [])

    def test_a_replaced_file_makes_room_for_its_successor(self, workspace: Workspace) -> None:
        workspace.write("a", [b"x" * 900])
        assert workspace.write("a", [b"y" * 1000])[0].size == 1000
        with pytest.raises(Full):
            workspace.write("a", [b"z" * 1001])
        assert content(workspace, "a") == b"y" * 1000

    def test_a_deleted_file_makes_room(self, workspace: Workspace) -> None:
        workspace.write("a", [b"x" * 1000])
        workspace.delete("a")
        workspace.write("b", [b"x" * 1000])

    def test_what_an_agent_has_written_counts(self, workspace: Workspace) -> None:
        (workspace.root / "big").write_bytes(b"x" * 5000)
        with pytest.raises(Full):
            workspace.write("a", [b"x"])
        with pytest.raises(Full):
            workspace.write("b", [])
        assert paths(workspace) == ["big"]

    def test_the_eleventh_file_is_one_too_many(self, workspace: Workspace) -> None:
        for number in range(10):
            workspace.write(f"d{number % 2}/{number}", [b"x"])
        with pytest.raises(Full, match="10 files"):
            workspace.write("d1/one more", [b"x"])
        workspace.write("d1/9", [b"again"])
        workspace.delete("d0/0")
        workspace.write("d1/one more", [b"x"])
        assert len(paths(workspace)) == 10

    def test_links_count_as_files(self, workspace: Workspace) -> None:
        for number in range(10):
            (workspace.root / str(number)).symlink_to("nowhere")
        with pytest.raises(Full):
            workspace.write("a", [b"x"])
        assert workspace.write("9", [b"x"])[1] is True

    def test_one_file_has_a_bound_of_its_own(self, workspace: Workspace) -> None:
        with pytest.raises(TooLarge):
            workspace.write("a", [b"x" * 60, b"x" * 41], most=100)
        assert (os.listdir(workspace.root), leftovers(workspace)) == ([], [])
        workspace.write("a", [b"x" * 60, b"x" * 40], most=100)

    def test_what_breaks_off_leaves_nothing(self, workspace: Workspace) -> None:
        def pieces() -> Iterator[bytes]:
            yield b"half"
            raise ConnectionError

        workspace.write("a", [b"old"])
        with pytest.raises(ConnectionError):
            workspace.write("a", pieces())
        assert (content(workspace, "a"), leftovers(workspace)) == (b"old", [])

    def test_by_default_it_is_the_settings(self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        assert (settings.WORKSPACE_QUOTA, MOST_FILES) == (100 * 1024 * 1024, 10_000)
        monkeypatch.setattr(settings, "WORKSPACE_QUOTA", 4)
        write_text(workspace.root, "a", "1234")
        with pytest.raises(Full):
            write_text(workspace.root, "b", "5")


class TestWalk:
    """An agent may make more than anybody wants to look at."""

    @staticmethod
    def look(workspace: Workspace, most: int) -> tuple[list[str], bool]:
        with opened(workspace.root) as root:
            walk = Walk(root, most)
            return [file.path for file in walk], walk.cut

    def test_it_gives_up_after_so_many_files(self, workspace: Workspace) -> None:
        for number in range(9):
            (workspace.root / f"f{number}").touch()
        assert self.look(workspace, 9) == ([f"f{number}" for number in range(9)], False)
        found, cut = self.look(workspace, 8)
        assert (len(found), cut) == (8, True)

    def test_it_gives_up_after_so_many_folders(self, workspace: Workspace) -> None:
        for number in range(9):
            (workspace.root / f"d{number}" / "e").mkdir(parents=True)
        assert self.look(workspace, 18) == ([], False)
        assert self.look(workspace, 17) == ([], True)

    def test_it_does_not_go_deeper_than_a_path_may(self, workspace: Workspace) -> None:
        deep = workspace.root / "/".join("d" * 31)
        (deep / "d" / "d").mkdir(parents=True)
        (deep / "there").touch()
        (deep / "d" / "too deep").touch()
        assert paths(workspace) == [f"{'d/' * 31}there"]

    def test_a_folder_that_cannot_be_read_hides_only_itself(self, workspace: Workspace) -> None:
        workspace.write("b", [b"x"])
        (workspace.root / "a").mkdir(mode=0)
        (workspace.root / "c").mkdir()
        assert paths(workspace) == ["b"]
