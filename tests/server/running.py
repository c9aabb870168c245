"""The server as a process, and a client that speaks HTTP by hand."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class Running:
    """A server of our own, its output and its memory."""

    def __init__(self, **options: Any) -> None:
        command = [sys.executable, "-m", "tests.server.app", json.dumps(options)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
        )
        self.pid = self.process.pid
        self.lines: list[str] = []
        self.port = int(self.say("ready"))

    def say(self, word: str) -> str:
        """Wait until the server prints a line that begins with the word; the rest of the line."""
        for line in self.process.stdout:
            self.lines.append(line.strip())
            if line.startswith(word):
                return line[len(word) :].strip()
        raise AssertionError(f"{word!r} never came: {self.lines} {self.process.stderr.read()}")

    def terminate(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def exit_code(self) -> int:
        return self.process.wait(timeout=8)

    def forget_peak(self) -> None:
        """Let VmHWM start again from here."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def memory(self, what: str = "VmRSS") -> int:
        """In KB; VmHWM is the peak."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"{what}:\s+(\d+)", status)[1])

    def connect(self) -> "Client":
        return Client(self.port)

    def facts(self) -> dict[str, Any]:
        """What the application has noted."""
        with self.connect() as client:
            client.send(b"GET /tell HTTP/1.1\r\nHost: x\r\n\r\n")
            return client.answer().json


class Client:
    """One raw connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=8)
        self.buffer = b""

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def get(self, target: str, *headers: str) -> None:
        lines = [f"GET {target} HTTP/1.1", "Host: x", *headers, "", ""]
        self.send("\r\n".join(lines).encode("latin1"))

    def more(self) -> bytes:
        """What comes next; nothing at the end of the connection."""
        data = self.socket.recv(65536)
        self.buffer += data
        return data

    def until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            assert self.more(), f"closed before {mark!r}: {self.buffer!r}"
        found, _, self.buffer = self.buffer.partition(mark)
        return found

    def answer(self) -> "Answer":
        """The next answer, which must have a Content-Length."""
        answer = Answer(self.until(b"\r\n\r\n").decode())
        length = int(answer.headers["content-length"])
        while len(self.buffer) < length:
            assert self.more(), f"closed in the middle of a body: {self.buffer!r}"
        answer.body, self.buffer = self.buffer[:length], self.buffer[length:]
        return answer

    def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        while self.more():
            pass
        return self.buffer


class Answer:
    """An HTTP answer, read by hand."""

    body = b""

    def __init__(self, head: str) -> None:
        first, *lines = head.split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@contextmanager
def running(**options: Any) -> Iterator[Running]:
    """A server for the length of a block; killed at its end unless it has ended by itself."""
    server = Running(**options)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.communicate()
