"""How a long download shows itself: a bar on a terminal, a line now and then elsewhere."""

import sys
from typing import IO, Any

MEGABYTE = 1_000_000
LINES = 10


class Bar:
    """Call it with (done, total) in bytes. A smaller `done` than before starts it again: another source's turn."""

    def __init__(self, title: str, stream: IO[str] | None = None) -> None:
        self.title = title
        self.stream = stream or sys.stderr
        self._bar: Any = None
        self._told = -1

    def __call__(self, done: int, total: int) -> None:
        """Show where it stands."""
        if self.stream.isatty():
            self._draw(done, total)
        else:
            self._tell(done, total)

    def close(self) -> None:
        """Leave the terminal's line."""
        if self._bar is not None:
            self._bar.close()

    def _draw(self, done: int, total: int) -> None:
        if self._bar is None:
            from tqdm import tqdm  # type: ignore[import-untyped]

            self._bar = tqdm(total=total, desc=self.title, unit="B", unit_scale=True, file=self.stream, leave=True)
        self._bar.n = done
        self._bar.refresh()

    def _tell(self, done: int, total: int) -> None:
        step = done * LINES // total if total else 0
        if step == self._told:
            return
        self._told = step
        self.stream.write(f"{self.title}: {done // MEGABYTE} of {total // MEGABYTE} MB\n")
        self.stream.flush()
