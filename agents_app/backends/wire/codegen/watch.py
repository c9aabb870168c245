"""Follows a run to its end: asks for its state less and less often, and through the API's bad moments."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ...base import BackendError
from .api import CodegenApi
from .refusals import Refused
from .run import Run, digest
from .trace import Trace


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to wait, in seconds.

    Between two looks at a run: from `first` on, `growth` times as long each time, up to `longest`. `patience` are the
    pauses after which a look that failed is tried again. A run that has just been told to go on may for `settle` still
    show its last answer, and one that is complete none yet. `within` is the time of one request, `rest` that of the
    rest of the log.
    """

    first: float = 2.0
    growth: float = 1.5
    longest: float = 10.0
    patience: tuple[float, ...] = (2.0, 5.0, 10.0, 20.0, 40.0)
    settle: float = 20.0
    within: float = 30.0
    rest: float = 10.0

    def pauses(self) -> Iterator[float]:
        """The pauses between looks, without end."""
        pause = self.first
        while True:
            yield pause
            pause = min(pause * self.growth, self.longest)


class Watch:
    """One run until its end. `said` is the digest of the answer before, `tell` takes lines for the log."""

    def __init__(self, api: CodegenApi, trace: Trace, pace: Pace, *, said: str, tell: Callable[[str], None]) -> None:
        self._api = api
        self._trace = trace
        self._pace = pace
        self._said = said
        self._tell = tell
        self._status = ""
        self._settled_at: float | None = None

    async def until_ended(self, run: Run, looked: Callable[[], None]) -> Run:
        """The run as it ended; `looked` is called after each look. Raises BackendError where it is lost sight of."""
        pauses = self._pace.pauses()
        while not self._over(run):
            await asyncio.sleep(next(pauses))
            run = await self._look(run.id)
            await self._trace.catch_up()
            looked()
        await self._trace.finish(self._pace.rest)
        return run

    def _over(self, run: Run) -> bool:
        if run.status != self._status:
            self._status = run.status
            self._tell(f"Codegen run {run.id} is {run.status or 'of no status'}" + (f": {run.url}" if run.url else ""))
        if not run.ended:
            self._said, self._settled_at = "", None  # what it says from now on is new
            return False
        return run.failed or self._settled(run)

    def _settled(self, run: Run) -> bool:
        now = asyncio.get_running_loop().time()
        if self._settled_at is None:
            self._settled_at = now + self._pace.settle
        return now >= self._settled_at or bool(run.content and digest(run.content) != self._said)

    async def _look(self, run_id: int) -> Run:
        for pause in (*self._pace.patience, None):
            try:
                return await self._api.get(run_id)
            except BackendError as error:
                if pause is None or not self._may_pass(error):
                    raise
            await asyncio.sleep(pause)
        raise AssertionError("the last look returns or raises")

    def _may_pass(self, error: BackendError) -> bool:
        """A run that was created a moment ago may not be known everywhere yet."""
        missing = isinstance(error, Refused) and error.status == 404
        too_long = (error.retry_after or 0) > 1000 * sum(self._pace.patience)
        return missing or (error.transient and not too_long)
