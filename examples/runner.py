"""A runner: works an agent's tasks from anywhere, with nothing but the standard library.

    TM_URL=http://localhost:3001/api/v1 TM_ORG=org_… TM_TOKEN=tm_… TM_AGENT=agent_… python examples/runner.py

The token needs the scope `agents`, the agent the backend `runner`. This one counts the words of what it is asked.
"""

import json
import os
import time
import urllib.error
import urllib.request
from contextlib import suppress
from typing import Any

URL, ORG, TOKEN, AGENT = (os.environ[name] for name in ("TM_URL", "TM_ORG", "TM_TOKEN", "TM_AGENT"))
HEADERS = {"Authorization": f"Bearer {TOKEN}", "X-Org-ID": ORG, "Content-Type": "application/json"}


class Lost(Exception):
    """The lease is not ours any more: somebody cancelled the task, or we took too long."""


def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The answer's members."""
    request = urllib.request.Request(URL + path, json.dumps(body).encode(), HEADERS)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return dict(json.load(answer)["data"])
    except urllib.error.HTTPError as error:
        if error.code == 409:
            raise Lost from None
        raise


def work(task: dict[str, Any], token: str) -> dict[str, Any]:
    """Do it, and tell how far it is: that keeps the lease. Its `content` is what a session's message is answered."""
    words = task["description"].split()
    told = post(f"/tasks/{task['id']}/progress", {"leaseToken": token, "progress": 0.5, "message": "counting"})
    if told["cancelled"]:
        raise Lost
    return {"content": f"{len(words)} words", "words": len(words)}


def report(task: dict[str, Any], token: str) -> None:
    """Do it, and tell how it ended."""
    try:
        result = work(task, token)
    except Lost:
        return
    except Exception as error:
        post(f"/tasks/{task['id']}/fail", {"leaseToken": token, "error": repr(error), "retryable": True})
    else:
        post(f"/tasks/{task['id']}/complete", {"leaseToken": token, "result": result})


def main() -> None:
    """Lease, work, report, for ever."""
    while True:
        try:
            leased = post(f"/agents/{AGENT}/lease", {"wait": 30_000})
            if leased["task"]:
                with suppress(Lost):
                    report(leased["task"], leased["leaseToken"])
        except OSError as error:
            # The server is there again soon, and gives the task to somebody; what it refuses it would refuse again.
            if getattr(error, "code", 503) in (400, 401, 403, 404):
                raise
            time.sleep(1)


if __name__ == "__main__":
    main()
