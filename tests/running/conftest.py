"""One installation for all these tests: embedded one process, otherwise two web and two worker processes."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import Live, installation

from .cast import Cast
from .model import Model, serving
from .runs import Crew, hired


@pytest.fixture(scope="session")
def model() -> Iterator[Model]:
    """The model that the agents ask."""
    with serving() as model:
        yield model


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Running when the first test begins."""
    # `http` steps of workflows may ask this machine, as they may in the embedded mode.
    env = {"TASKMASTER_ACP_COMMANDS": "*", "TASKMASTER_WEBHOOK_ALLOW_PRIVATE": "1"}
    with installation(tmp_path_factory.mktemp("running"), webs=2, workers=2, **env) as live:
        yield live.start()


@pytest.fixture(autouse=True)
def _quiet() -> None:
    logging.getLogger("httpx").setLevel(logging.WARNING)


@pytest.fixture
def live(installed: Live) -> Live:
    """The installation, all of it running, whatever the test before has done to it."""
    installed.thaw_all()
    try:
        return installed.start()
    except AssertionError:
        # The test before has failed in the middle of something.
        installed.kill_all()
        installed.processes.clear()
        return installed.start()


@pytest.fixture
def cast(live: Live, model: Model) -> Iterator[Cast]:
    """Whoever talks to it."""
    with live.client() as client:
        yield Cast(live, model, client)
    model.open()


@pytest.fixture
def crew(live: Live, tmp_path: Path) -> Iterator[Crew]:
    """Runner processes."""
    with hired(live, tmp_path) as crew:
        yield crew
