"""Frames that are written past autobahn, straight to the system where it takes them, keep their place among its own."""

from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.live import until
from tests.server.running import Running, running


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running() as server:
        yield server


def open_socket(server: Running, size: int, count: int) -> ClientConnection:
    """One that takes a frame from the connection only when the one before has been received."""
    address = f"ws://127.0.0.1:{server.port}/frames?{size},{count}"
    return connect(address, max_size=None, max_queue=1, compression=None, ping_interval=None)


def received(socket: ClientConnection) -> list[int]:
    """The numbers of all frames up to the close."""
    numbers: list[int] = []
    with pytest.raises(ConnectionClosed) as closed:
        _receive(socket, numbers)
    assert closed.value.rcvd.code == 4000
    return numbers


def _receive(socket: ClientConnection, numbers: list[int]) -> None:
    while True:
        frame = socket.recv(timeout=10)
        assert set(frame[6:]) == {"."}
        numbers.append(int(frame[:6]))


def noted(server: Running, size: int) -> dict:
    """What the application has noted of the frames of this size, once it has written all."""
    return until(lambda: (found := server.facts().get("frames", {})).get("size") == size and found, 10)


def test_a_client_that_reads_gets_every_frame_in_order_and_then_the_close(server: Running) -> None:
    with open_socket(server, 300, 2_000) as socket:
        assert received(socket) == list(range(2_000))
    assert noted(server, 300) == {"size": 300, "full": 0, "refused after the close": True}


def test_a_client_that_is_behind_gets_every_frame_in_order_and_then_the_close(server: Running) -> None:
    with open_socket(server, 30_000, 500) as socket:
        assert noted(server, 30_000)["full"] > 100
        assert received(socket) == list(range(500))
