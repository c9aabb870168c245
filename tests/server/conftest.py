"""Two servers for most of the tests: one with the limits as they are, one with short ones."""

from collections.abc import Iterator

import pytest

from tests.server.running import Client, Running, running

SHORT = {"headers_within": 0.5, "body_within": 0.5, "idle_for": 0.6}


@pytest.fixture(scope="package")
def server() -> Iterator[Running]:
    with running() as server:
        yield server


@pytest.fixture(scope="package")
def short() -> Iterator[Running]:
    with running(limits=SHORT) as server:
        yield server


@pytest.fixture
def client(server: Running) -> Iterator[Client]:
    with server.connect() as client:
        yield client
