"""Where a feed reads: the database, in threads of its own."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from django.db import close_old_connections

from taskmaster.core.database import keep_healthy

from . import items
from .items import Item
from .past import Past

T = TypeVar("T")

ORGS_AT_ONCE = 500


class Source(Protocol):
    """Reads an organization's events in sequence."""

    async def news(self, org_id: str, after: int) -> list[Item]:
        """The next events, for all who keep up."""
        ...

    async def past(self, org_id: str, after: int) -> list[Item]:
        """The next events, for one who is behind."""
        ...

    async def newest(self, org_ids: list[str]) -> dict[str, int]:
        """The sequence of each organization's last event."""
        ...


class Database:
    """However many catch up, what is new is not read after all of that.

    Only who reads what is new keeps a connection.
    """

    def __init__(self) -> None:
        self._for_news = ThreadPoolExecutor(1, thread_name_prefix="event-feed")
        self._for_past = ThreadPoolExecutor(2, thread_name_prefix="event-past")
        self._past = Past(
            lambda org_id, after: _in(self._for_past, lambda: items.after(org_id, after), close_old_connections)
        )

    async def news(self, org_id: str, after: int) -> list[Item]:
        """The next events, for all who keep up."""
        return await _in(self._for_news, lambda: items.after(org_id, after))

    async def past(self, org_id: str, after: int) -> list[Item]:
        """The next events, for one who is behind."""
        return await self._past.after(org_id, after)

    async def newest(self, org_ids: list[str]) -> dict[str, int]:
        """The sequence of each organization's last event."""
        return await _in(self._for_news, lambda: _newest(org_ids))


def _newest(org_ids: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for start in range(0, len(org_ids), ORGS_AT_ONCE):
        found |= items.last_sequences(org_ids[start : start + ORGS_AT_ONCE])
    return found


async def _in(pool: ThreadPoolExecutor, call: Callable[[], T], done: Callable[[], None] = keep_healthy) -> T:
    def run() -> T:
        try:
            return call()
        finally:
            done()

    return await asyncio.get_running_loop().run_in_executor(pool, run)
