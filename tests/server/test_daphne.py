"""HTTP: sizes, times, errors, and clients that go away."""

import time

import httpx
import pytest

from tests.server.running import Answer, Client, Running, running

MB = 1_048_576


def post(client: Client, size: int, *, chunked: bool) -> None:
    client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\n")
    if not chunked:
        client.send(b"Content-Length: %d\r\n\r\n" % size + b"x" * size)
        return
    client.send(b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(size // 65536):
        client.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
    client.send(b"0\r\n\r\n")


def assert_refused(answer: Answer, status: int, code: str) -> None:
    assert answer.status == status
    assert answer.json["code"] == code
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"] == "req_1"


class TestBodies:
    @pytest.mark.parametrize("chunked", [False, True])
    def test_one_over_the_limit_is_thrown_away_and_refused_by_the_application(
        self, server: Running, client: Client, chunked: bool
    ) -> None:
        server.forget_peak()
        before = server.memory("VmHWM")
        post(client, 10 * MB, chunked=chunked)
        answer = client.answer()
        assert (answer.status, answer.json["too_large"], answer.json["body"]) == (413, True, 0)
        assert server.memory("VmHWM") - before < 3000
        client.get("/echo")
        assert client.answer().json["too_large"] is False

    @pytest.mark.parametrize("chunked", [False, True])
    def test_one_at_the_limit_arrives_whole_in_one_message(self, client: Client, chunked: bool) -> None:
        post(client, MB, chunked=chunked)
        answer = client.answer()
        assert (answer.status, answer.json["body"], answer.json["more"]) == (200, MB, False)

    def test_one_byte_over_the_limit_is_too_much(self, client: Client) -> None:
        post(client, MB + 1, chunked=False)
        assert client.answer().status == 413

    def test_one_past_the_discard_bound_ends_the_connection(self) -> None:
        with running(limits={"discard_bytes": 3_000_000}) as server, server.connect() as client:
            client.send(b"POST / HTTP/1.1\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 4_000_000)
            answer = client.answer()
            assert_refused(answer, 413, "body_too_large")
            assert answer.headers["connection"] == "close"
            assert client.rest() == b""

    def test_one_over_the_limit_that_is_announced_is_not_asked_for(self, client: Client) -> None:
        client.send(b"POST / HTTP/1.1\r\nContent-Length: 9000000\r\nExpect: 100-continue\r\n\r\n")
        assert_refused(client.answer(), 413, "body_too_large")
        assert client.rest() == b""

    def test_one_that_fits_and_is_announced_is_asked_for(self, client: Client) -> None:
        client.send(b"POST / HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"
        client.send(b"abc")
        assert client.answer().json["body"] == 3


def drip(client: Client, data: bytes, seconds: float = 3) -> float:
    """Send a byte every now and then until the server answers; how long it took."""
    start = time.monotonic()
    client.socket.settimeout(0.1)
    for place in range(int(seconds / 0.1)):
        client.send(data[place : place + 1])
        try:
            if client.more():
                break
        except TimeoutError:
            continue
    client.socket.settimeout(8)
    return time.monotonic() - start


def _send_for_ever(client: Client) -> None:
    for _ in range(80):
        client.send(b"x")
        time.sleep(0.05)


class TestDeadlines:
    def test_dripped_headers_are_cut(self, short: Running) -> None:
        with short.connect() as client:
            assert 0.4 < drip(client, b"GET / HTTP/1.1\r\nHost: example.com\r\n") < 1.5
            assert_refused(client.answer(), 408, "request_timeout")
            assert client.rest() == b""

    def test_headers_dripped_on_a_kept_connection_are_cut(self, short: Running) -> None:
        with short.connect() as client:
            client.get("/echo")
            client.answer()
            assert 0.4 < drip(client, b"GET / HTTP/1.1\r\nHost: example.com\r\n") < 1.5
            assert client.answer().status == 408

    def test_a_dripped_body_is_cut(self, short: Running) -> None:
        with short.connect() as client:
            client.send(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n")
            assert 0.4 < drip(client, b"x" * 100) < 1.5
            assert_refused(client.answer(), 408, "request_timeout")
            assert client.rest() == b""

    def test_a_dripped_body_over_the_limit_is_cut_as_too_large(self, short: Running) -> None:
        with short.connect() as client:
            client.send(b"POST / HTTP/1.1\r\nContent-Length: 9000000\r\n\r\n")
            drip(client, b"x" * 100)
            assert_refused(client.answer(), 413, "body_too_large")

    def test_a_refused_client_that_keeps_sending_is_dropped(self, short: Running) -> None:
        with short.connect() as client:
            client.send(b"GARBAGE\r\n\r\n")
            assert client.answer().status == 400
            start = time.monotonic()
            with pytest.raises(ConnectionError):
                _send_for_ever(client)
            assert 1 < time.monotonic() - start < 3.5

    def test_a_silent_connection_is_closed_without_a_word(self, short: Running) -> None:
        start = time.monotonic()
        with short.connect() as client:
            assert client.rest() == b""
        assert 0.4 < time.monotonic() - start < 1.5

    def test_an_idle_connection_is_closed_without_a_word(self, short: Running) -> None:
        with short.connect() as client:
            client.get("/echo")
            client.answer()
            start = time.monotonic()
            assert client.rest() == b""
            assert 0.4 < time.monotonic() - start < 1.5

    def test_an_answer_may_take_longer_than_any_deadline(self, short: Running) -> None:
        with short.connect() as client:
            client.get("/slow?1.5")
            assert len(client.answer().json) == 300_000

    def test_a_stream_may_last_longer_than_any_deadline(self, short: Running) -> None:
        with short.connect() as client:
            client.get("/stream")
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                assert b"tick" in client.more()

    def test_a_client_that_reads_nothing_holds_the_application_back_and_is_dropped(self, short: Running) -> None:
        with short.connect() as client:
            client.get("/flood")
            time.sleep(0.3)
            sent = short.facts()["sent"]
            assert 0 < sent < 20_000_000
            time.sleep(1.7)
            assert short.facts()["sent"] == sent
            with pytest.raises(ConnectionError):
                client.rest()

    def test_a_stream_ends_when_its_client_has_gone(self, short: Running) -> None:
        with short.connect() as client:
            client.get("/stream")
            client.until(b"tick")
        time.sleep(0.3)
        assert short.facts()["streams"] == 0

    def test_a_client_that_reads_gets_all_of_a_long_answer(self, server: Running) -> None:
        with httpx.Client() as client, client.stream("GET", f"http://127.0.0.1:{server.port}/flood") as answer:
            assert sum(len(part) for part in answer.iter_bytes()) == 100_000_000


NOT_HTTP = {
    "one word": b"GARBAGE\r\n\r\n",
    "binary": bytes(range(256)) * 4 + b"\r\n\r\n",
    "version": b"GET / HTTP/9.9\r\n\r\n",
    "space in a header name": b"GET / HTTP/1.1\r\nfo o: b\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\nfoo\r\n\r\n",
    "control character in a header": b"GET / HTTP/1.1\r\nfoo: a\x0bb\r\n\r\n",
    "utf-8 path": "GET /é HTTP/1.1\r\n\r\n".encode(),
    "latin-1 path": b"GET /\x81 HTTP/1.1\r\n\r\n",
    "latin-1 query": b"GET /?q=\x81 HTTP/1.1\r\n\r\n",
    "negative length": b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    "absurd length": b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "bad chunk": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
}
TOO_LONG = {
    "request line": b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
    "header": b"GET / HTTP/1.1\r\na: " + b"x" * 20_000 + b"\r\n\r\n",
    "all headers": b"GET / HTTP/1.1\r\n" + (b"a: " + b"x" * 9000 + b"\r\n") * 2 + b"\r\n",
    "number of headers": b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 501 + b"\r\n",
}


class TestErrors:
    @pytest.mark.parametrize("data", NOT_HTTP.values(), ids=NOT_HTTP)
    def test_what_is_not_http_is_answered_in_json(self, client: Client, data: bytes) -> None:
        client.send(data)
        assert_refused(client.answer(), 400, "bad_request")

    @pytest.mark.parametrize("data", TOO_LONG.values(), ids=TOO_LONG)
    def test_headers_that_are_too_large_are_answered_in_json(self, client: Client, data: bytes) -> None:
        client.send(data)
        assert_refused(client.answer(), 431, "headers_too_large")
        assert client.rest() == b""

    @pytest.mark.parametrize("path", ["/boom", "/silent"])
    def test_an_application_that_fails_is_answered_for_at_once(self, client: Client, path: str) -> None:
        start = time.monotonic()
        client.get(path)
        answer = client.answer()
        assert_refused(answer, 500, "internal_error")
        assert b"secret" not in answer.body
        assert time.monotonic() - start < 0.5

    def test_half_an_answer_ends_as_a_broken_one(self, client: Client) -> None:
        client.get("/half")
        assert b"Content-Length: 10" in client.until(b"\r\n\r\n")
        assert client.rest() == b"half"


class TestConnections:
    def test_pipelined_requests_are_answered_in_order(self, client: Client) -> None:
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(20)))
        assert [client.answer().json["path"] for _ in range(20)] == [f"/{number}" for number in range(20)]

    def test_a_connection_is_kept_until_the_client_asks_to_close(self, client: Client) -> None:
        for _ in range(3):
            client.get("/echo")
            assert client.answer().status == 200
        client.get("/echo", "Connection: close")
        assert client.answer().headers["connection"] == "close"
        assert client.rest() == b""

    def test_the_server_does_not_name_itself(self, client: Client) -> None:
        client.get("/echo")
        assert "server" not in client.answer().headers

    def test_a_client_cannot_choose_the_mount_point(self, client: Client) -> None:
        client.get("/echo", "Daphne-Root-Path: /elsewhere")
        assert client.answer().json["root_path"] == ""

    def test_the_application_hears_at_once_of_a_client_that_leaves(self, server: Running) -> None:
        before = server.facts()
        with server.connect() as client:
            client.get("/wait")
            time.sleep(0.2)
            assert server.facts()["gone"] == before["gone"]
            left = time.time()
        time.sleep(0.2)
        after = server.facts()
        assert len(after["gone"]) == len(before["gone"]) + 1
        assert 0 <= after["gone"][-1] - left < 0.1
        assert 0 <= after["events"][-1] - left < 0.1

    def test_a_waiting_request_costs_little(self, server: Running) -> None:
        clients = [server.connect() for _ in range(50)]  # the first ones also pay for the interpreter's own growth
        for client in clients:
            client.get("/wait")
        time.sleep(0.3)
        before = server.memory()
        clients += [server.connect() for _ in range(300)]
        for client in clients[50:]:
            client.get("/wait", "Accept: */*", "User-Agent: tests", "Authorization: Bearer 0123456789")
        time.sleep(0.5)
        cost = (server.memory() - before) / 300
        for client in clients:
            client.socket.close()
        assert 0 < cost < 19
