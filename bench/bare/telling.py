"""The pace at which the bare servers tell their subscribers: a burst, or so many a second."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from bench.news import text

Tell = Callable[[str], Awaitable[None]]


async def told(tell: Tell, count: int, rate: float = 0) -> dict[str, Any]:
    """Tell them `count` frames, each as soon as the one before is sent, or at a rate; when each was."""
    frames = [text(number) for number in range(count)]
    sent, begun = [], time.monotonic()
    for number, frame in enumerate(frames):
        if rate:
            await asyncio.sleep(max(0, begun + number / rate - time.monotonic()))
        sent.append(time.monotonic())
        await tell(frame)
    return {"begun": begun, "ended": time.monotonic(), "sent": sent if rate else []}
