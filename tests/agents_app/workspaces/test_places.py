"""Where workspaces are, and how they go, whatever agents have left in them."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from django.conf import settings

from agents_app import workspaces
from agents_app.workspaces.places import Rounds
from taskmaster.core.ids import new_id

from .outside import WAYS, Outside, lay


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place of their own for all workspaces."""
    monkeypatch.setattr(settings, "WORKSPACES", tmp_path / "data" / "workspaces")
    return settings.WORKSPACES


@pytest.fixture
def org() -> str:
    return new_id("org")


@pytest.fixture
def session() -> str:
    return new_id("session")


def trash() -> list[str]:
    folder = settings.WORKSPACES / ".deleted"
    return os.listdir(folder) if folder.exists() else []


def test_a_directory_is_made_when_it_is_wanted(base: Path, org: str, session: str) -> None:
    assert workspaces.workspace(org, session).files() == ([], True)
    assert not base.exists()
    place = workspaces.directory(org, session)
    assert place == base / org / session
    assert place.is_absolute()
    for folder in (place, place.parent, base):
        assert folder.stat().st_mode & 0o7777 == 0o700
    assert workspaces.directory(org, session) == place


def test_each_session_has_its_own(org: str) -> None:
    one, other = (workspaces.workspace(org, new_id("session"), make=True) for _ in range(2))
    one.write("a", [b"x"])
    assert [file.path for file in one.files()[0]] == ["a"]
    assert other.files() == ([], True)


@pytest.mark.parametrize(
    "wrong", ["", ".", "..", "../x", "a/b", "session_x", "/etc", ".deleted", "\0", "org_" + "A" * 26]
)
def test_what_is_no_id_names_no_directory(base: Path, org: str, session: str, wrong: str) -> None:
    for ids in ((wrong, session), (org, wrong)):
        for call in (workspaces.directory, workspaces.workspace, workspaces.remove):
            with pytest.raises(ValueError, match="no ids"):
                call(*ids)
    with pytest.raises(ValueError, match="no ids"):
        workspaces.remove_all(wrong)


def test_removing_takes_one_session(org: str) -> None:
    gone, kept = new_id("session"), new_id("session")
    for session in (gone, kept):
        workspaces.workspace(org, session, make=True).write("a/b", [b"x"])
    workspaces.remove(org, gone)
    assert not (settings.WORKSPACES / org / gone).exists()
    assert (settings.WORKSPACES / org / kept / "a/b").exists()
    assert trash() == []
    workspaces.remove(org, gone)


def test_removing_an_organization_takes_all_of_its_sessions(org: str, session: str) -> None:
    other = new_id("org")
    for owner in (org, other):
        workspaces.workspace(owner, session, make=True).write("a/b", [b"x"])
    workspaces.remove_all(org)
    assert sorted(os.listdir(settings.WORKSPACES)) == [".deleted", other]
    assert trash() == []


@pytest.mark.parametrize("way", WAYS)
def test_nothing_outside_is_removed(org: str, session: str, outside: Outside, way: str) -> None:
    workspace = workspaces.workspace(org, session, make=True)
    lay(way, workspace, outside)
    workspaces.remove(org, session)
    assert not workspace.root.exists()
    assert trash() == []
    outside.check_untouched()


def test_any_depth_can_be_removed(org: str, session: str) -> None:
    place = workspaces.directory(org, session)
    here = os.open(place, os.O_RDONLY)
    for _ in range(1100):  # deeper than Python's stack, and than a process has descriptors
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(os.open("f", os.O_CREAT, dir_fd=here))
        os.close(here)
        here = below
    os.close(here)
    assert len(workspaces.workspace(org, session).files()[0]) == 32
    workspaces.remove(org, session)
    assert (place.exists(), trash()) == (False, [])


REMOVE = """
import os, sys
from pathlib import Path
import django
django.setup()
from django.conf import settings
from agents_app import workspaces
settings.WORKSPACES, *ids = Path(sys.argv[1]), *sys.argv[2:]
os.setuid(65534)
place = workspaces.directory(*ids)
for name, mode in (("read-only", 0o500), ("closed", 0)):
    (place / name / "deep").mkdir(parents=True)
    (place / name / "deep" / "file").touch()
    (place / name / "deep").chmod(mode)
    (place / name).chmod(mode)
workspaces.remove(*ids)
assert os.listdir(place.parent) == []
assert os.listdir(settings.WORKSPACES / ".deleted") == []
"""


@pytest.mark.skipif(os.getuid() != 0, reason="becomes somebody whom modes stop")
def test_folders_that_an_agent_has_closed_are_removed(org: str, session: str, tmp_path: Path) -> None:
    env = {"DJANGO_SETTINGS_MODULE": "taskmaster.settings", "PATH": os.environ["PATH"]}
    env |= {"TASKMASTER_DATA_DIR": str(tmp_path)}
    with tempfile.TemporaryDirectory() as theirs:
        os.chown(theirs, 65534, 65534)
        subprocess.run([sys.executable, "-c", REMOVE, theirs, org, session], env=env, check=True)


def test_what_is_still_written_to_is_removed_by_the_next_sweep(org: str, session: str) -> None:
    place = workspaces.directory(org, session)
    (place / "a").touch()
    real = os.rmdir

    def busy(name: str, dir_fd: int | None = None) -> None:
        folder = os.open(name, os.O_RDONLY, dir_fd=dir_fd)
        os.close(os.open("late", os.O_CREAT, dir_fd=folder))
        os.close(folder)
        real(name, dir_fd=dir_fd)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rmdir", busy)
        workspaces.remove(org, session)
    assert not place.exists()
    assert len(trash()) == 1
    workspaces.tidy()
    assert trash() == []


def test_an_upload_that_has_died_is_tidied_up_after_an_hour(org: str, session: str) -> None:
    workspaces.workspace(org, session, make=True).write("a", [b"x"])
    incoming = settings.WORKSPACES / org / ".incoming"
    for name, age in (("old", 3700), ("young", 3500)):
        (incoming / name).touch()
        os.utime(incoming / name, (time.time() - age,) * 2)
    workspaces.tidy()
    assert os.listdir(incoming) == ["young"]
    assert [file.path for file in workspaces.workspace(org, session).files()[0]] == ["a"]


def test_a_sweep_sees_every_directory_in_turn() -> None:
    made = {(new_id("org"), new_id("session")) for _ in range(5)}
    made |= {(org, new_id("session")) for org, _ in made}
    for ids in made:
        workspaces.workspace(*ids, make=True).write("a", [b"x"])
    rounds = Rounds()
    for _ in range(2):
        seen = [rounds.some(4), rounds.some(4), rounds.some(4)]
        assert [len(some) for some in seen] == [4, 4, 2]
        assert {ids for some in seen for ids in some} == made


def test_there_may_be_no_workspaces_at_all() -> None:
    workspaces.tidy()
    assert Rounds().some(5) == []
    workspaces.remove(new_id("org"), new_id("session"))
