"""What the tests of the embedded model share: a stand-in child, waiting, and who is alive."""

import hashlib
import json
import os
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

from agents_app.local_model import Endpoint, LocalModelSettings
from agents_app.local_model.sources import Progress
from agents_app.local_model.weights import Official, Weights

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
MAIN = "from agents_app.local_model.server import main; main()"
COMMAND = (sys.executable, "-c", f"import sys; sys.path.insert(0, {str(HERE / 'stand_in')!r}); {MAIN}")

DATA = bytes(range(256)) * 400
TINY = Official(name="Tiny-Q4", size=len(DATA), sha256=hashlib.sha256(DATA).hexdigest())


def tiny_weights(settings: LocalModelSettings, progress: Progress, stopping: Event) -> Weights:
    """Weights that are there at once."""
    return Weights(settings.folder / "tiny.gguf", "Tiny-Q4")


def until(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Wait for something true and give it back."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def job(endpoint: Endpoint) -> dict[str, Any]:
    """What the stand-in child says it was started with."""
    url = endpoint.base_url.removesuffix("/v1") + "/job"
    with urllib.request.urlopen(url, timeout=5) as answer:
        return dict(json.load(answer))


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def environment() -> dict[str, str]:
    """For a Python process that imports the product and these tests."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}
