"""What the process that runs the model tells the others: one small file, readable by their user alone."""

import json
import os
from pathlib import Path

from .settings import Endpoint, Status

Told = tuple[Status, Endpoint | None]


class Notice:
    """`local.json`: state, detail, fraction, url, key, model, pid."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, status: Status, endpoint: Endpoint | None) -> None:
        """Replace it in one step, so that a reader never sees half of it."""
        url, key, model = endpoint or (None, None, None)
        told = {"state": status.state, "detail": status.detail, "fraction": status.fraction}
        told |= {"url": url, "key": key, "model": model, "pid": os.getpid()}
        fresh = self.path.with_suffix(f".{os.getpid()}.new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(told, file)
        fresh.replace(self.path)

    def read(self) -> Told | None:
        """The latest word, or None where there is none that makes sense."""
        try:
            told = json.loads(self.path.read_text())
            status = Status(told["state"], told["detail"], told["fraction"])
            return status, Endpoint(told["url"], told["key"], told["model"]) if told["url"] else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def remove(self) -> None:
        """Nobody runs the model any more."""
        self.path.unlink(missing_ok=True)
