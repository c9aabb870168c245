"""Changes as unified diffs: as `patch` takes them, and in no more time or room than a person has."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from agents_app.backends.acp_client.diffs import LONGEST, unified
from agents_app.backends.acp_client.tools import Change

MANY = "".join(f"line {n}\n" for n in range(3_000))


@pytest.mark.skipif(shutil.which("patch") is None, reason="patch is not installed")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a\nb\nc\n", "a\nB\nc\n"),
        ("a\nb", "a\nb\n"),
        ("a\n", "a\nb"),
        ("a\r\nb\n", "a\r\nc\n"),
        ("a\x0cb\u2028c\n", "a\x0cb\u2028d\n"),
        ("", "new\n"),
        ("gone\n", ""),
        (MANY, MANY.replace("line 7\n", "line seven\n")),
        (MANY, MANY + "no end"),
    ],
)
def test_a_diff_makes_the_new_text_of_the_old(tmp_path: Path, old: str, new: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(old.encode())
    diff = unified([Change("file", old, new)])
    assert diff
    subprocess.run(["patch", "--binary", "-s", str(file)], input=diff.encode(), check=True, timeout=10)
    assert (file.read_bytes() if file.exists() else b"") == new.encode()


def test_a_new_file_comes_from_nowhere() -> None:
    assert unified([Change("/w/a", None, "x\n")]) == "--- /dev/null\n+++ b/w/a\n@@ -0,0 +1 @@\n+x\n"


def test_several_changes_are_one_diff_and_none_is_none() -> None:
    assert unified([Change("a", "1\n", "2\n"), Change("b", None, "3\n")]).count("@@ ") == 2  # type: ignore[union-attr]
    assert unified([]) is None


def test_a_huge_change_takes_neither_much_time_nor_much_room() -> None:
    began = time.monotonic()
    old, new = ("\n".join(str(n * factor % 50_021) for n in range(50_000)) for factor in (7, 11))
    diff = unified([Change("a", old, new)])
    assert diff
    assert len(diff) <= LONGEST
    assert time.monotonic() - began < 5
