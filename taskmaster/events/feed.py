"""The live end of the event log: one reader for a whole process, and the same bytes for everybody who wants an event.

A subscriber is a cursor in the log. While it keeps up, it is handed what the process reads; where it is slow, or has
just come with an older sequence, it reads from the log by itself until it has caught up. So nobody is ever sent
anything twice or out of order, nothing is queued for anybody, and one that is slow costs the others nothing.
"""

import asyncio
import logging

from taskmaster.core.wakeups import hub

from .followed import Log, Subscriber, start
from .relay import KEY, WANTED_EVERY, WANTED_KEY
from .source import Database, Source

logger = logging.getLogger(__name__)

# A lost signal is noticed after this many seconds.
LOOK_SECONDS = 1.0


class Feed:
    """All that this process follows."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._logs: dict[str, Log] = {}
        self._watching: list[asyncio.Task[None]] = []

    def __len__(self) -> int:
        return sum(len(log.members) for log in self._logs.values())

    def join(self, subscriber: Subscriber, newest: int) -> None:
        """Follow its organization's log from its cursor on; `newest` was its last sequence a moment ago (in loop)."""
        self._watch()
        log = self._logs.get(subscriber.org_id)
        if log is None:
            log = self._logs[subscriber.org_id] = Log(subscriber.org_id, newest, self._source)
            hub.send(WANTED_KEY)
        log.follow(subscriber)
        log.hear(newest)

    def leave(self, subscriber: Subscriber) -> None:
        """Follow it no more; the same again changes nothing (in loop)."""
        log = self._logs.get(subscriber.org_id)
        if log is None:
            return
        log.leave(subscriber)
        if not log.members:
            del self._logs[subscriber.org_id]

    def _watch(self) -> None:
        if not any(task for task in self._watching if not task.done()):
            hub.listen(KEY, self._signalled)
            self._watching = [start(self._look_for_ever()), start(self._tell_relays_for_ever())]

    def _signalled(self, newest: dict[str, int]) -> None:
        for org_id, sequence in newest.items():
            if org_id in self._logs:
                self._logs[org_id].hear(sequence)

    async def _look_for_ever(self) -> None:
        """Behind every signal: look by itself."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if self._logs:
                    self._signalled(await self._source.newest(list(self._logs)))
            except Exception as error:
                logger.warning("events not looked for: %s", type(error).__name__)

    async def _tell_relays_for_ever(self) -> None:
        while True:
            await asyncio.sleep(WANTED_EVERY)
            if self._logs:
                hub.send(WANTED_KEY)


feed = Feed(Database())
