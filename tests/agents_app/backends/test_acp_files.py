"""What an agent reads and writes through the client: only in its workspace, and only what it may."""

from pathlib import Path

import pytest

from agents_app.backends.acp_client.tools import all_inside, below
from agents_app.backends.base import Decision

from .acp_running import Desktop
from .recorder import Recorder

YES, NO = Decision(allowed=True), Decision(allowed=False)


def test_a_file_is_written_and_named_in_a_tasks_result(desktop: Desktop) -> None:
    path = f"{desktop.work}/sub/a.txt"
    answer = desktop.run("writes", path, "new", permission_mode="acceptEdits", is_message=False)
    assert answer.result == {"content": "written", "files": ["sub/a.txt"]}
    assert Path(path).read_text() == "new"


@pytest.mark.parametrize(
    "path", ["../out.txt", "{work}/../out.txt", "/tmp/acp-out.txt", "{work}-beside/out.txt", "link/out.txt"]
)
@pytest.mark.parametrize("mode", ["default", "acceptEdits", "plan"])
def test_nothing_is_written_outside(desktop: Desktop, path: str, mode: str) -> None:
    (desktop.work / "link").symlink_to(desktop.work.parent)
    path = path.format(work=desktop.work)
    recorder = Recorder()
    answer = desktop.run("writes", path, "new", permission_mode=mode, is_message=False, recorder=recorder)
    refusal = f"cannot write {path}: it leads outside of the workspace"
    assert answer.result == {"content": refusal, "files": []}
    assert recorder.lines == [refusal]
    assert not Path(desktop.work, path).exists()


def test_nothing_is_read_outside(desktop: Desktop) -> None:
    recorder = Recorder()
    answer = desktop.run("reads", "/etc/passwd", recorder=recorder)
    assert answer.content == "cannot read /etc/passwd: it leads outside of the workspace -32602"
    assert recorder.lines == ["cannot read /etc/passwd: it leads outside of the workspace"]


@pytest.mark.parametrize(
    ("part", "text"),
    [((), "a\nb\x0cb\nc"), ((2,), "b\x0cb\nc"), ((2, 1), "b\x0cb\n"), ((1, 2), "a\nb\x0cb\n"), ((9, 9), "")],
)
def test_a_file_or_a_part_of_it_is_read(desktop: Desktop, part: tuple[int, ...], text: str) -> None:
    (desktop.work / "a.txt").write_text("a\nb\x0cb\nc")
    assert desktop.run("reads", f"{desktop.work}/a.txt", *part).content == f"<{text}>"


def test_a_file_that_is_not_there_is_told_apart(desktop: Desktop) -> None:
    assert desktop.run("reads", "none.txt").content == "cannot read none.txt: No such file or directory -32002"


def test_in_the_mode_plan_nothing_is_written(desktop: Desktop) -> None:
    answer = desktop.run("writes", "a.txt", "new", permission_mode="plan", recorder=Recorder())
    assert answer.content == "not permitted to write a.txt"
    assert not (desktop.work / "a.txt").exists()


def test_in_the_mode_default_a_write_that_was_not_asked_for_is_asked_about(desktop: Desktop) -> None:
    (desktop.work / "a.txt").write_text("old\n")
    recorder = Recorder(NO)
    assert desktop.run("writes", "a.txt", "new\n", recorder=recorder).content == "not permitted to write a.txt"
    assert (desktop.work / "a.txt").read_text() == "old\n"
    asked = recorder.questions[0]
    assert (asked.tool, asked.input) == ("edit", {"title": "Write a.txt", "path": "a.txt"})
    assert asked.diff == "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-old\n+new\n"
    assert desktop.run("writes", "a.txt", "new\n", recorder=Recorder(YES)).content == "written"


@pytest.mark.parametrize("shown", ["new", ""])
def test_what_was_permitted_is_written_once_without_asking_again(desktop: Desktop, shown: str) -> None:
    recorder = Recorder(YES, NO)
    answer = desktop.run("writes", f"{desktop.work}/a.txt", "new", shown, recorder=recorder)
    assert answer.content == "written not permitted to write a.txt"
    assert (desktop.work / "a.txt").read_text() == "new"
    assert len(recorder.questions) == 2


def test_another_text_than_the_one_that_was_permitted_is_asked_about(desktop: Desktop) -> None:
    recorder = Recorder(YES, NO, NO)
    desktop.run("writes", "a.txt", "worse", "new", recorder=recorder)
    assert recorder.questions[1].diff is not None
    assert "+worse" in recorder.questions[1].diff
    assert not (desktop.work / "a.txt").exists()


def test_where_the_work_folder_is_named_by_a_link_its_files_are_inside(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    assert below(str(link), f"{real}/a") == below(str(link), f"{link}/a") == below(str(link), "a") == "a"
    assert all_inside(str(link), [f"{real}/a", f"{link}/b", "c"])


@pytest.mark.parametrize("paths", [[], ["../a"], ["a", "/etc/x"], ["a\0"], ["out/a"], ["."], ["a"] * 101])
def test_paths_that_are_none_or_not_all_inside(tmp_path: Path, paths: list[str]) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "out").symlink_to(tmp_path)
    assert not all_inside(str(work), paths)
