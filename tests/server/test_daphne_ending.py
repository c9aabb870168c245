"""The start and the end of the server's process."""

import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.server.running import ROOT, Client, Running, running
from tests.server.test_daphne_websockets import close_code, open_socket


def refuses(server: Running) -> bool:
    try:
        server.connect().socket.close()
    except ConnectionRefusedError:
        return True
    return False


class TestStart:
    def test_the_loop_is_there_before_the_first_request(self) -> None:
        with running() as server:
            assert server.lines == ["loop True", f"ready {server.port}"]

    def test_a_taken_port_fails_in_one_line(self, server: Running) -> None:
        command = [sys.executable, "-m", "tests.server.app", f'{{"port": {server.port}}}']
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=8, check=False)
        assert ended.returncode == 1
        assert ended.stderr == f"Cannot listen on 127.0.0.1:{server.port}: Address already in use\n"

    def test_two_processes_share_a_port_and_one_survives_the_other(self) -> None:
        with running(reuse_port=True) as one, running(reuse_port=True, port=one.port) as two:
            assert two.port == one.port
            clients = [one.connect() for _ in range(40)]
            for client in clients:
                client.get("/stream")
                client.until(b"tick")
            one.terminate(signal.SIGKILL)
            one.exit_code()
            alive = sum(bool(_goes_on(client)) for client in clients)
            assert 0 < alive < 40
            assert two.facts()["sent"] == 0


def _goes_on(client: Client) -> bool:
    client.buffer = b""
    try:
        return client.until(b"tick") is not None
    except (AssertionError, ConnectionError):
        return False


class TestEnd:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_an_answer_under_way_arrives_whole_and_no_new_connection_is_accepted(self, number: int) -> None:
        with running() as server:
            server.facts()  # a connection that has come and gone
            self._end_in_the_middle(server, number)

    def _end_in_the_middle(self, server: Running, number: int) -> None:
        with server.connect() as client, server.connect() as idle:
            client.get("/slow?1")
            idle.get("/echo")
            idle.answer()
            time.sleep(0.1)
            server.terminate(number)
            server.say("drain")
            server.say("before_close")
            assert refuses(server)
            assert idle.rest() == b""
            answer = client.answer()
            assert len(answer.json) == 300_000
            assert answer.headers["connection"] == "close"
            assert client.rest() == b""
            assert server.exit_code() == 0

    @pytest.mark.parametrize("seen", [10, 60])
    def test_a_request_that_is_still_arriving_is_answered(self, seen: int) -> None:
        data = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789"
        with running() as server, server.connect() as client:
            client.send(data[:seen])
            time.sleep(0.1)
            server.terminate()
            server.say("before_close")
            time.sleep(0.1)
            client.send(data[seen:])
            answer = client.answer()
            assert (answer.json["body"], answer.headers["connection"]) == (10, "close")
            assert client.rest() == b""
            assert server.exit_code() == 0

    def test_a_stream_is_told_and_ends_well(self) -> None:
        with running() as server, server.connect() as client:
            client.get("/stream")
            client.until(b"tick")
            server.terminate()
            assert client.rest().endswith(b"last\n\r\n0\r\n\r\n")
            assert server.exit_code() == 0

    def test_what_takes_too_long_is_cut(self) -> None:
        with running(limits={"drain_timeout": 0.5}) as server, server.connect() as client:
            client.get("/slow?60")
            time.sleep(0.1)
            server.terminate()
            start = time.monotonic()
            assert (client.answer().status, client.rest()) == (503, b"")
            assert server.exit_code() == 0
            assert 0.4 < time.monotonic() - start < 4

    def test_websockets_close_with_1012(self) -> None:
        with running() as server, open_socket(server) as client:
            server.terminate()
            assert close_code(client) == 1012
            assert server.exit_code() == 0

    def test_an_idle_server_ends_at_once(self) -> None:
        with running() as server, socket.create_connection(("127.0.0.1", server.port)):
            time.sleep(0.1)
            start = time.monotonic()
            server.terminate()
            assert server.exit_code() == 0
            assert time.monotonic() - start < 1.5

    def test_a_second_signal_ends_at_once(self) -> None:
        with running() as server, server.connect() as client:
            client.get("/slow?60")
            time.sleep(0.1)
            server.terminate()
            server.say("before_close")
            server.terminate()
            assert server.exit_code() == 128 + signal.SIGTERM

    def test_nothing_is_logged_about_any_of_it(self) -> None:
        with running() as server, server.connect() as client, open_socket(server) as websocket:
            client.get("/wait")
            websocket.send("hello")
            server.terminate()
            client.socket.close()
            assert server.exit_code() == 0
            assert server.process.stderr.read() == ""
