"""A model behind an OpenAI-compatible endpoint that answers as it was told to, and remembers who asked."""

import json
import select
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Plan:
    """How a content is answered: its first calls by these statuses, then `pieces` with a pause before each.

    Before the last piece, `go` is waited for. A refusal says after how many seconds to try again, if anything.
    """

    pieces: int = 2
    pause: float = 0.0
    refusals: Sequence[int] = ()
    retry_after: int | None = None
    go: threading.Event | None = None


@dataclass
class Call:
    """One request: what was asked, after which conversation, with which key; when it ended; when its caller hung up."""

    content: str
    history: list[str]
    key: str = ""
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None
    cut: float | None = None
    whole: bool = False


def answer_to(content: str, pieces: int = 2) -> str:
    """What the model says to it."""
    return "".join(_pieces(content, pieces))


def _pieces(content: str, count: int) -> Iterator[str]:
    return (f"<{number}> {content} " for number in range(count))


class Model:
    """The endpoint. A content is answered by the plan of its first word."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._plans: dict[str, Plan] = {}
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.model = self
        self.config = {"baseUrl": f"http://127.0.0.1:{self._server.server_port}/v1", "model": "stand-in"}

    def tell(self, word: str, **plan: Any) -> Plan:
        """Answer what begins with that word in this way."""
        self._plans[word] = Plan(**plan)
        return self._plans[word]

    def calls_of(self, content: str) -> list[Call]:
        """The calls that asked this."""
        return [call for call in self.calls if call.content == content]

    def open(self) -> None:
        """Let everything go on that is being held."""
        for plan in self._plans.values():
            if plan.go:
                plan.go.set()

    def _called(self, body: dict[str, Any], key: str) -> tuple[Call, Plan, int]:
        history = [turn["content"] for turn in body["messages"]]
        # Questions that nothing answered come in one turn with the next one.
        content = history.pop().split("\n\n")[-1]
        with self._lock:
            before = len(self.calls_of(content))
            call = Call(content, history, key)
            self.calls.append(call)
            return call, self._plans.get(content.split()[0], Plan()), before


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    model: Model

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hangs up is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_: Any) -> None:
        """Silent."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers.get("Authorization", "").removeprefix("Bearer ")
        call, plan, before = self.server.model._called(body, key)
        if before < len(plan.refusals):
            call.ended = time.monotonic()
            return self._refuse(plan.refusals[before], plan.retry_after)
        return self._stream(call, plan)

    def _stream(self, call: Call, plan: Plan) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            self._answer(call, plan)
            call.whole = True
        except OSError:
            call.cut = call.ended = time.monotonic()

    def _refuse(self, status: int, retry_after: int | None) -> None:
        text = json.dumps({"error": {"message": "told to refuse"}}).encode()
        self.send_response(status)
        if retry_after is not None:
            self.send_header("Retry-After", str(retry_after))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _answer(self, call: Call, plan: Plan) -> None:
        for number, piece in enumerate(_pieces(call.content, plan.pieces)):
            self._pause(plan.pause)
            while number == plan.pieces - 1 and plan.go and not plan.go.is_set():
                self._pause(0.05)
            self._send({"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]})
        # Before its caller knows: nobody else can have begun because of it.
        call.ended = time.monotonic()
        self._send({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": {"total_tokens": 7}})
        self.wfile.write(b"data: [DONE]\n\n")

    def _send(self, chunk: dict[str, Any]) -> None:
        self.wfile.write(b"data: %b\n\n" % json.dumps(chunk).encode())

    def _pause(self, seconds: float) -> None:
        """Wait, and raise OSError as soon as the caller hangs up."""
        poll = select.poll()
        poll.register(self.connection, select.POLLIN)
        if poll.poll(seconds * 1000) and not self.connection.recv(1, socket.MSG_PEEK):
            raise ConnectionAbortedError


@contextmanager
def serving() -> Iterator[Model]:
    """A model that answers while the block runs."""
    model = Model()
    thread = threading.Thread(target=model._server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield model
    finally:
        model.open()
        model._server.shutdown()
        model._server.server_close()
        thread.join()
