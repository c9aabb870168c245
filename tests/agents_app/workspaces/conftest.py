"""A workspace, and beside it what nobody must get at."""

from pathlib import Path

import pytest

from agents_app.workspaces import Workspace

from .outside import Outside


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty one of at most 1,000 bytes and 10 files."""
    root = tmp_path / "org" / "session"
    root.mkdir(parents=True)
    return Workspace(root, quota=1000, most_files=10)


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    """A folder with a secret."""
    return Outside(tmp_path / "outside")
