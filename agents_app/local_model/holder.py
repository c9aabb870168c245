"""What the process that holds the lock does: fetch the weights, run the model, start it again when it dies."""

import logging
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from threading import Event
from typing import Any, Protocol

from . import weights
from .child import Child, ChildFailed
from .progress import Bar
from .settings import Endpoint, LocalModelSettings, Status
from .sources import Progress
from .tool import Stopped

log = logging.getLogger(__name__)

SERVER = (sys.executable, "-m", "agents_app.local_model.server")
TELL_EVERY = 1.0
FETCH_AGAIN_AFTER = 180.0
START_AGAIN_AFTER = (1.0, 2.0, 5.0, 15.0, 60.0)
LONG_ENOUGH = 60.0  # a child that lived this long starts the row of waits afresh

Fetch = Callable[[LocalModelSettings, Progress, Event], weights.Weights]


class Tell(Protocol):
    """Takes the news of the model."""

    def __call__(self, status: Status, endpoint: Endpoint | None = None) -> None: ...


class Holder:
    """One process's turn at running the model."""

    def __init__(self, settings: LocalModelSettings, command: Sequence[str], fetch: Fetch, tell: Tell) -> None:
        self.settings = settings
        self.command = command
        self.fetch = fetch
        self.tell = tell

    def run(self, stopping: Event) -> None:
        """Run the model for as long as we are wanted."""
        deaths = 0
        while not stopping.is_set():
            begun = time.monotonic()
            try:
                self._serve(self._weights(stopping), stopping)
            except Stopped:
                return
            except weights.NoWeights as error:
                self._fail(f"the weights could not be had: {error}", FETCH_AGAIN_AFTER, stopping)
            except (ChildFailed, OSError, ValueError) as error:
                deaths = 0 if time.monotonic() - begun > LONG_ENOUGH else deaths
                self._fail(str(error), START_AGAIN_AFTER[min(deaths, len(START_AGAIN_AFTER) - 1)], stopping)
                deaths += 1

    def _weights(self, stopping: Event) -> weights.Weights:
        self.tell(Status("fetching", "looking for the weights"))
        bar = Bar("Fetching the embedded model")
        told_at = 0.0

        def progress(done: int, total: int) -> None:
            nonlocal told_at
            bar(done, total)
            if time.monotonic() - told_at > TELL_EVERY:
                told_at = time.monotonic()
                self.tell(Status("fetching", f"{done} of {total} bytes", done / total))

        try:
            return self.fetch(self.settings, progress, stopping)
        finally:
            bar.close()

    def _serve(self, found: weights.Weights, stopping: Event) -> None:
        self.tell(Status("starting", found.name, 1.0))
        key = secrets.token_urlsafe(32)
        child = Child(self.command, self._job(found, key), self.settings.folder / "local.log")
        try:
            endpoint = Endpoint(child.address(stopping), key, found.name)
            notes = "; ".join((found.name, *(f"passed over {reason}" for reason in found.passed_over)))
            self.tell(Status("ready", notes, 1.0), endpoint)
            child.watch(stopping)
        finally:
            child.stop()

    def _job(self, found: weights.Weights, key: str) -> dict[str, Any]:
        return {
            "path": str(found.path),
            "model": found.name,
            "key": key,
            "threads": self.settings.cpu_threads,
            "context": self.settings.context,
            "max_output": self.settings.max_output,
            "slots": self.settings.slots,
        }

    def _fail(self, reason: str, wait: float, stopping: Event) -> None:
        log.warning("the embedded model is down for %g s: %s", wait, reason)
        self.tell(Status("failed", reason))
        stopping.wait(wait)
