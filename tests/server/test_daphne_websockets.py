"""WebSockets: sizes, close codes, and peers that are gone."""

import json
import time
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.server.running import Client, Running, running

KEY = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
UPGRADE = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", KEY)


def open_socket(server: Running, path: str = "/") -> ClientConnection:
    return connect(f"ws://127.0.0.1:{server.port}{path}", max_size=None, compression=None, ping_interval=None)


def close_code(socket: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=5)
    return closed.value.rcvd.code


def test_a_message_at_the_limit_comes_back(server: Running) -> None:
    with open_socket(server) as socket:
        socket.send("x" * 1_048_576)
        assert len(socket.recv(timeout=5)) == 1_048_576


def test_a_message_over_the_limit_closes_with_1009(server: Running) -> None:
    server.forget_peak()
    before = server.memory("VmHWM")
    with open_socket(server) as socket:
        socket.send(b"x" * 2 * 1_048_576)
        assert close_code(socket) == 1009
    assert server.memory("VmHWM") - before < 3000


def test_a_message_over_the_limit_in_small_frames_closes_with_1009(server: Running) -> None:
    with open_socket(server) as socket:
        socket.send([b"x" * 200_000] * 7)
        assert close_code(socket) == 1009


@pytest.mark.parametrize("code", [1000, 1011, 1013, 4401])
def test_the_application_may_close_with_any_code(server: Running, code: int) -> None:
    with open_socket(server) as socket:
        socket.send(f"close {code}")
        assert close_code(socket) == code


def test_an_application_that_fails_closes_with_1011(server: Running) -> None:
    with open_socket(server) as socket:
        socket.send("boom")
        assert close_code(socket) == 1011


def test_the_application_hears_the_clients_close_code(server: Running) -> None:
    with open_socket(server) as socket:
        socket.close(4321)
    time.sleep(0.1)
    assert server.facts()["closed"] == 4321


def test_a_refused_handshake_is_answered_in_json(server: Running) -> None:
    with pytest.raises(InvalidStatus) as refused:
        open_socket(server, "/refuse")
    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body)["code"] == "forbidden"


@pytest.mark.parametrize("headers", [UPGRADE[:1], (*UPGRADE, "Sec-WebSocket-Protocol: \xff"), UPGRADE[:3]])
def test_a_broken_handshake_is_answered_in_json(client: Client, headers: tuple[str, ...]) -> None:
    client.get("/", *headers)
    answer = client.answer()
    assert (answer.status, answer.json["code"]) == (400, "bad_request")


def test_a_client_that_floods_a_busy_application_has_to_wait(server: Running) -> None:
    before = server.memory()
    with server.connect() as client:
        client.get("/deaf", *UPGRADE)
        client.until(b"\r\n\r\n")
        client.socket.settimeout(0.5)
        frame = b"\x82\xff" + (1_000_000).to_bytes(8, "big") + bytes(4) + bytes(1_000_000)
        with pytest.raises(TimeoutError):
            client.send(frame * 100)
        assert server.memory() - before < 40_000


@pytest.fixture(scope="module")
def strict() -> Iterator[Running]:
    with running(limits={"ping_every": 1, "pong_within": 2, "handshake_within": 2}) as server:
        yield server


class TestDeadPeers:
    def test_one_that_answers_no_ping_is_dropped_and_one_that_does_is_kept(self, strict: Running) -> None:
        start = time.monotonic()
        with open_socket(strict) as alive, strict.connect() as dead:
            dead.get("/", *UPGRADE)
            dead.until(b"\r\n\r\n")
            with pytest.raises(ConnectionError):
                dead.rest()
            assert 0.9 < time.monotonic() - start < 3.5
            assert dead.buffer[0] == 0x89  # a ping came first
            assert strict.facts()["closed"] == 1006
            time.sleep(max(0, start + 3.2 - time.monotonic()))
            alive.send("still here")
            assert alive.recv(timeout=5) == "still here"

    def test_a_handshake_the_application_never_answers_is_dropped(self, strict: Running) -> None:
        with strict.connect() as client:
            client.get("/never", *UPGRADE)
            start = time.monotonic()
            with pytest.raises(ConnectionError):
                client.rest()
            assert 0.9 < time.monotonic() - start < 3
