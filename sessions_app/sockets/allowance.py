"""How much a connection may send."""

import math
import time
from collections import deque
from collections.abc import Callable

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Allowance:
    """So many frames in any window of that length: `50/1m`."""

    __slots__ = ("_clock", "_most", "_passed", "_seconds")

    def __init__(self, rate: str, clock: Callable[[], float] = time.monotonic) -> None:
        most, _, window = rate.partition("/")
        self._most, self._seconds = int(most), int(window[:-1]) * _SECONDS[window[-1]]
        self._passed: deque[float] = deque()
        self._clock = clock

    def take(self) -> int:
        """Count a frame: 0 where it may pass, else the milliseconds until one may again."""
        moment = self._clock()
        while self._passed and self._passed[0] <= moment - self._seconds:
            self._passed.popleft()
        if len(self._passed) < self._most:
            self._passed.append(moment)
            return 0
        return max(1, math.ceil((self._passed[0] + self._seconds - moment) * 1000))
