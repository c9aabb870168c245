"""What the embedded model is told and what it tells."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

OFF = "off"
State = Literal["off", "fetching", "starting", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class LocalModelSettings:
    """`model` is "" for the official weights, a GGUF file's path, or "off".

    `context` bounds one request, prompt and answer together, and `max_output` its answer, both in tokens. One CPU
    thread reads about 60 tokens a second and writes about 25, hence the defaults: most answers fit into 30 s, also on
    a machine that has other work. Each of the `slots` costs 12 KB a token of context; a request more than there are
    slots waits for one.
    """

    data_dir: Path
    model: str = ""
    threads: int = 0
    context: int = 2048
    max_output: int = 320
    slots: int = 4

    @property
    def off(self) -> bool:
        """Whether the operator wants no embedded model."""
        return self.model.strip().lower() == OFF

    @property
    def folder(self) -> Path:
        """Where the weights, the lock and the notice live."""
        return self.data_dir / "models"

    @property
    def cpu_threads(self) -> int:
        """As told, else all cores this process may use but one, which the server keeps."""
        return self.threads if self.threads > 0 else max(1, usable_cores() - 1)


def usable_cores() -> int:
    """The cores this process may run on, which in a container can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Status:
    """How the embedded model is. `fraction`, 0 to 1, is how much of the weights is there."""

    state: State
    detail: str = ""
    fraction: float = 0.0


class Endpoint(NamedTuple):
    """Where the running model answers the OpenAI-compatible API."""

    base_url: str
    api_key: str
    model: str
