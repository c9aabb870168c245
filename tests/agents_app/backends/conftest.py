"""What several backends' tests begin with."""

from pathlib import Path

import pytest

from .acp_running import Desktop


@pytest.fixture
def desktop(tmp_path: Path) -> Desktop:
    """A session's folder, and the small acp agent to work in it."""
    work = tmp_path / "work"
    work.mkdir()
    return Desktop(work)
