"""The past of the logs, for those who are behind: many are as far behind as each other, and one reading serves all."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from .items import Item

# How many readings are remembered, of all organizations together, and for how long.
READINGS, SECONDS = 8, 2.0

Read = Callable[[str, int], Coroutine[Any, Any, list[Item]]]


class Past:
    """Reads with `read`, unless the same has just been read or is being read."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._under_way: dict[tuple[str, int], asyncio.Task[list[Item]]] = {}
        self._lately: deque[tuple[str, list[Item]]] = deque(maxlen=READINGS)

    async def after(self, org_id: str, cursor: int) -> list[Item]:
        """The organization's next events, or none; raises what `read` does."""
        found = self._remembered(org_id, cursor)
        if found:
            return found
        key = org_id, cursor
        if key not in self._under_way:
            self._under_way[key] = asyncio.get_running_loop().create_task(self._reading(org_id, cursor))
        # Whoever goes away meanwhile leaves the reading to the others.
        return await asyncio.shield(self._under_way[key])

    async def _reading(self, org_id: str, cursor: int) -> list[Item]:
        try:
            found = await self._read(org_id, cursor)
        finally:
            del self._under_way[org_id, cursor]
        if found:
            self._lately.appendleft((org_id, found))
            asyncio.get_running_loop().call_later(SECONDS, self._forget, found)
        return found

    def _remembered(self, org_id: str, cursor: int) -> list[Item]:
        for owner, found in self._lately:
            # Only what has the very next event: what comes before it may be gone, and nobody has looked.
            if owner == org_id and found[0].sequence <= cursor + 1 <= found[-1].sequence:
                whole = found[0].sequence == cursor + 1
                return found if whole else [item for item in found if item.sequence > cursor]
        return []

    def _forget(self, found: list[Item]) -> None:
        self._lately = deque((one for one in self._lately if one[1] is not found), READINGS)
