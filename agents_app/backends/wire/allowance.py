"""Keeps all requests with one credential inside its provider's rate limits, however many runs share it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary

Key = tuple[asyncio.AbstractEventLoop, str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` requests in any `seconds`."""

    count: int
    seconds: float


class Allowance:
    """One limit of one credential, for one event loop; whoever comes first is first.

    A request's place is free again `seconds` after its answer. Counted from the answer on, the provider cannot have
    seen too many in any window, however late some of them reached it.
    """

    def __init__(self, limit: Limit) -> None:
        self.seconds = limit.seconds
        self._places = asyncio.Semaphore(limit.count)
        self._closed_until = 0.0

    @property
    def free(self) -> bool:
        """Whether a place can be had without waiting."""
        return not self._places.locked() and self._closed_for() <= 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place, and hold it for as long as a request takes."""
        await self._places.acquire()
        try:
            await self._open()
        except asyncio.CancelledError:
            self._places.release()  # nothing was sent
            raise
        try:
            yield
        finally:
            asyncio.get_running_loop().call_later(self.seconds, self._release)

    def close(self, seconds: float) -> None:
        """Let nobody send anything for so long: the provider says that its limit is reached."""
        self._closed_until = max(self._closed_until, asyncio.get_running_loop().time() + seconds)

    async def _open(self) -> None:
        while True:
            left = self._closed_for()
            if left <= 0:
                return
            await asyncio.sleep(left)

    def _closed_for(self) -> float:
        return self._closed_until - asyncio.get_running_loop().time()

    def _release(self) -> None:
        self._places.release()


class Allowances:
    """The allowances of this process, by event loop, kind of request and credential."""

    def __init__(self, limits: Mapping[str, Limit]) -> None:
        self._limits = limits
        # One that holds no place and that no run uses is as good as new: it may go.
        self._known: WeakValueDictionary[Key, Allowance] = WeakValueDictionary()

    def of(self, kind: str, *credential: str) -> Allowance:
        """The running loop's allowance for that kind of request with that credential."""
        key = (asyncio.get_running_loop(), kind, credential)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = Allowance(self._limits[kind])
        return found
