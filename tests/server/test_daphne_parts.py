"""Parts of an answer that are written from where nobody can wait."""

import pytest

from tests.live import until
from tests.server.running import Running, running


@pytest.fixture(scope="module")
def server():
    with running() as server:
        yield server


def noted(server: Running, count: int) -> dict:
    """What the application has noted of the last of so many answers."""
    return until(lambda: len(found := server.facts()["parts"]) == count and found)[-1]


def test_a_client_that_does_not_read_is_behind_and_gets_everything_when_it_reads(server: Running) -> None:
    with server.connect() as client:
        client.get("/parts", "Connection: close")
        note = noted(server, 1)
        assert 100_000 <= note["written"] < 20_000_000
        assert note["room"] is False
        answer = client.rest()
    assert answer.count(b"x" * 100_000) == note["written"] // 100_000
    assert answer.endswith(b"4\r\nlast\r\n0\r\n\r\n")


def test_to_one_that_has_gone_nothing_is_written(server: Running) -> None:
    before = len(server.facts()["parts"])
    with server.connect() as client:
        client.get("/parts")
        noted(server, before + 1)
    note = until(lambda: "gone" in (found := server.facts()["parts"][-1]) and found)
    assert note["gone"] == [False, False]
