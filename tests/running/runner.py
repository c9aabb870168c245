"""A runner as a process of its own: works an agent's tasks, and writes down what it ran and when.

    TM_PORT=… TM_ORG=… TM_TOKEN=… TM_AGENT=… SECONDS=0.1 BOOK=<file> python tests/running/runner.py

Each task takes so many seconds. The book gets a line for each beginning and each end, by the machine's monotonic clock,
both inside of the lease.
"""

import http.client
import json
import os
import time
from typing import Any

PORT, ORG, TOKEN, AGENT = (os.environ[f"TM_{name}"] for name in ("PORT", "ORG", "TOKEN", "AGENT"))
SECONDS, BOOK = float(os.environ["SECONDS"]), os.environ["BOOK"]
HEADERS = {"Authorization": f"Bearer {TOKEN}", "X-Org-ID": ORG, "Content-Type": "application/json"}
GONE = (OSError, http.client.HTTPException)


class Server:
    """One connection after the other, whatever becomes of the server."""

    def __init__(self) -> None:
        self._connection: http.client.HTTPConnection | None = None

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The status and the answer. Raises one of GONE."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", int(PORT), timeout=60)
        try:
            self._connection.request("POST", f"/api/v1{path}", json.dumps(body), HEADERS)
            answer = self._connection.getresponse()
            return answer.status, json.loads(answer.read())
        except BaseException:
            self._connection.close()
            self._connection = None
            raise

    def insist(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """`post`, until there is an answer that is not the server's own trouble."""
        while True:
            try:
                status, answer = self.post(path, body)
            except GONE:
                status, answer = 503, {}
            if status < 500:
                return status, answer
            time.sleep(0.2)


def write(line: dict[str, Any]) -> None:
    """Add a line to the book."""
    with open(BOOK, "a") as file:
        file.write(json.dumps(line) + "\n")


def work(task: dict[str, Any]) -> None:
    """Take as long as it takes."""
    name = {"task": task["id"], "attempt": task["attempts"]}
    write(name | {"agent": AGENT, "began": time.monotonic()})
    time.sleep(SECONDS)
    write(name | {"ended": time.monotonic()})


def main() -> None:
    """Lease, work, report, for ever."""
    server = Server()
    while True:
        status, leased = server.insist(f"/agents/{AGENT}/lease", {"wait": 10_000})
        if status != 200:
            raise SystemExit(f"no lease: {status} {leased}")
        task = leased["task"]
        if task is None:
            continue
        work(task)
        result = {"content": f"ran {task['description']}"}
        server.insist(f"/tasks/{task['id']}/complete", {"leaseToken": leased["leaseToken"], "result": result})


if __name__ == "__main__":
    main()
