"""Runs agents in this process: one event loop for all that runs, a few threads for the database.

A running agent holds no thread, so one worker process runs hundreds of them. Every outcome goes through the lease,
and whoever finishes a task takes the agent's next one at once, with no trip through the broker.
"""

import asyncio
import logging
import os
import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any, TypeVar

from django.conf import settings
from django.db import Error as DatabaseError
from django.db.models.functions import Now

from taskmaster.core import log
from taskmaster.core.database import keep_healthy, quietly
from taskmaster.core.wakeups import hub

from . import continuing, dispatch, leases, outcomes, registry, runners
from .backends.base import Request
from .callers import Callers
from .continuing import Place
from .fair_queue import FairQueue
from .models import Agent, Task, Worker
from .models.worker import BEAT_SECONDS
from .registry import Resolved
from .reporting import TaskReporter

logger = logging.getLogger(__name__)
T = TypeVar("T")

DATABASE_THREADS = 4
# How many tasks of one agent a worker takes at a time, so that several workers share a burst.
TAKE = 4
GRACE_SECONDS = 5.0
# Of a worker's places, the most that one organization gets: another's task finds one free.
LARGEST_SHARE = 0.75


class Executor:
    """This process's running tasks."""

    def __init__(self) -> None:
        self.worker_id = ""
        self._loop = asyncio.new_event_loop()
        self._pool = ThreadPoolExecutor(DATABASE_THREADS, thread_name_prefix="outcomes")
        self._running: dict[str, tuple[Task, asyncio.Task[None]]] = {}
        self._starting: Counter[str] = Counter()
        self._queue = FairQueue()
        self._nudged: set[str] = set()
        self._lock = threading.Lock()
        self._draining = False
        self._heart: Future[None] | None = None
        self._callers = Callers(self.pull, lambda: self.takes_work)

    def start(self) -> None:
        """Begin to take work."""
        worker = Worker.objects.create(host=socket.gethostname(), pid=os.getpid(), beat_at=Now())
        self.worker_id = worker.pk
        threading.Thread(target=self._loop.run_forever, name="executor", daemon=True).start()
        hub.listen_prefix("cancel:", lambda key, _: self._stop_task(key.removeprefix("cancel:")))
        registry.LOCAL_MODEL.on_ready(self.pull_all)
        registry.LOCAL_MODEL.start()
        self._heart = asyncio.run_coroutine_threadsafe(self._beat_for_ever(), self._loop)
        if settings.REDIS_URL:
            self._callers.start()

    @property
    def runs_here(self) -> bool:
        """Whether this process runs agents."""
        return bool(self.worker_id) and not self._draining

    @property
    def takes_work(self) -> bool:
        """Whether it does, and not as many already as it may."""
        return self.runs_here and len(self._running) < settings.MAX_RUNNING

    def nudge(self, agent_id: str) -> None:
        """Have an agent's waiting work looked at soon, once for however many nudges."""
        with self._lock:
            if agent_id in self._nudged:
                return
            self._nudged.add(agent_id)
        self._in_pool(partial(self._pull_nudged, agent_id))

    def _pull_nudged(self, agent_id: str) -> None:
        with self._lock:
            self._nudged.discard(agent_id)
        self.pull(agent_id)

    def pull(self, agent_id: str) -> None:
        """Claim and start what this agent can start now (in a thread that may use the database)."""
        org_id = org_of(agent_id)
        room = self._reserve(org_id)
        if not room:
            with self._lock:
                self._queue.add(org_id, agent_id)
            return
        unused = room
        try:
            claim = leases.claim(agent_id, self.worker_id, room, ready=registry.can_start)
            for task in claim.tasks:
                self._begin(task)
                unused -= 1
        finally:
            self._started(org_id, unused)
        if claim.more:
            dispatch.wake_worker(agent_id)

    def pull_all(self) -> None:
        """Start whatever can start now, for every agent."""
        self._in_pool(dispatch.wake_all)

    def stop(self) -> None:
        """Take nothing new, let what runs finish for a moment, and put the rest back into its queue."""
        with self._lock:
            if not self.worker_id or self._draining:
                return
            self._draining = True
        self._callers.stop()
        asyncio.run_coroutine_threadsafe(self._drain(), self._loop).result(GRACE_SECONDS + 10)
        registry.LOCAL_MODEL.stop()
        self._pool.shutdown(wait=True)
        Worker.objects.filter(pk=self.worker_id).delete()
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _reserve(self, org_id: str) -> int:
        """How many tasks may be claimed now; each is counted as starting until it runs, or is not there."""
        with self._lock:
            room = min(TAKE, self._room(org_id))
            self._starting[org_id] += room
            return room

    def _started(self, org_id: str, count: int = 1) -> None:
        """So many of those that were starting are so no more."""
        with self._lock:
            self._starting[org_id] -= count

    def _room(self, org_id: str) -> int:
        """How many places are free here for that organization, which never gets all of them (with the lock held)."""
        if self._draining:
            return 0
        running = [task.org_id for task, _ in list(self._running.values())]
        free = settings.MAX_RUNNING - len(running) - self._starting.total()
        share = max(1, int(settings.MAX_RUNNING * LARGEST_SHARE))
        return max(0, min(free, share - running.count(org_id) - self._starting[org_id]))

    def _begin(self, task: Task) -> None:
        resolved = registry.resolve(task.agent)
        request = outcomes.request_for(task, resolved)
        self._loop.call_soon_threadsafe(self._spawn, task, resolved, request)

    def _spawn(self, task: Task, resolved: Resolved, request: Request) -> None:
        if task.pk in self._running:
            # The lease ran out (the machine slept, say) and this very process took the task again.
            self._running.pop(task.pk)[1].cancel()
        running = self._loop.create_task(self._run(task, resolved, request))
        self._running[task.pk] = (task, running)
        self._started(task.org_id)
        # A cancel that came between the claim and this line has left its mark in the row only: the next beat sees it.
        running.add_done_callback(lambda _: self._forget(task))

    def _forget(self, task: Task) -> None:
        """This attempt is over; a later one of the same task may be running."""
        if self._running.get(task.pk, (None,))[0] is task:
            self._running.pop(task.pk, None)

    async def _run(self, task: Task, resolved: Resolved, request: Request) -> None:
        log.task_id.set(task.pk)
        log.org_id.set(task.org_id)
        reporter = TaskReporter(task, self._for_reporter)
        try:
            outcome = await outcomes.attempt(resolved, task, request, reporter)
        except asyncio.CancelledError:
            if not self._draining:
                raise
            outcome = outcomes.put_back(task)
        finally:
            reporter.finish()
        await reporter.stored()
        await self._settle(task, outcome)

    async def _settle(self, task: Task, outcome: Callable[[], Any]) -> None:
        """Store an outcome. The database may be away for a moment; past the lease the task is run again anyway."""
        for pause in (0.1, 0.3, 1, 2, 4, None):
            try:
                await self._loop.run_in_executor(self._pool, self._store, task, outcome)
                return
            except DatabaseError as error:
                logger.warning("outcome not stored yet: %s", type(error).__name__)
                if pause is not None:
                    await asyncio.sleep(pause)

    def _store(self, task: Task, outcome: Callable[[], Any]) -> None:
        place = Place(self.worker_id, task, registry.can_start, self._continue)
        try:
            with continuing.offered(place if self._may_continue() else None):
                outcome()
            if not self._draining:
                # Its coroutine has not returned yet, but it is over.
                self._forget(task)
                if not place.taken or place.others:
                    self._fill(task)
        finally:
            keep_healthy()

    def _may_continue(self) -> bool:
        """Whether the place of a task that ends may go to what follows from it: nobody else waits for one here."""
        with self._lock:
            return not self._draining and not len(self._queue)

    def _continue(self, task: Task) -> None:
        """Begin a task that has been given the place of another."""
        with self._lock:
            self._starting[task.org_id] += 1
        try:
            self._begin(task)
        except BaseException:
            self._started(task.org_id)
            raise

    def _fill(self, ended: Task) -> None:
        """Give the place that became free, and any other, to whoever's turn it is."""
        with self._lock:
            if ended.agent_id not in self._nudged:
                self._queue.add(ended.org_id, ended.agent_id)
        while True:
            with self._lock:
                agent_id = self._queue.next(lambda org_id: self._room(org_id) > 0)
            if agent_id is None:
                return
            if leases.has_waiting(agent_id):
                self.pull(agent_id)

    def _in_pool(self, call: Callable[[], Any]) -> None:
        """A call whose failure the sweep mends."""
        if not self._draining:
            self._pool.submit(quietly, call)

    def _for_reporter(self, call: Callable[[], T]) -> "asyncio.Future[T | None]":
        """A call for a running task; None where it failed."""
        return self._loop.run_in_executor(self._pool, quietly, call)

    def _stop_task(self, task_id: str) -> None:
        self._loop.call_soon_threadsafe(self._cancel_here, task_id)

    def _cancel_here(self, task_id: str, attempt: Task | None = None) -> None:
        task, running = self._running.get(task_id, (None, None))
        if running and (attempt is None or attempt is task):
            running.cancel()

    async def _beat_for_ever(self) -> None:
        while True:
            try:
                for task in await self._loop.run_in_executor(self._pool, self._beat):
                    self._cancel_here(task.pk, task)
            except Exception as error:
                logger.warning("heartbeat missed: %s", type(error).__name__)
            await asyncio.sleep(BEAT_SECONDS)

    def _beat(self) -> list[Task]:
        """Tell that this worker lives, renew its leases; returns the tasks whose lease is gone."""
        try:
            held = [task for task, _ in list(self._running.values())]
            Worker.objects.update_or_create(
                pk=self.worker_id,
                defaults={"running": len(held), "beat_at": Now(), "unready": registry.unready_backends()},
                create_defaults={"host": socket.gethostname(), "pid": os.getpid(), "beat_at": Now()},
            )
            good = leases.renew(self.worker_id, [(task.pk, task.lease) for task in held])
            # A task that ended here meanwhile is no longer in `_running`, and cancelling it does nothing.
            return [task for task in held if task.pk not in good]
        finally:
            keep_healthy()

    async def _drain(self) -> None:
        if self._heart:
            self._heart.cancel()
        running = [running for _, running in self._running.values()]
        if running:
            await asyncio.wait(running, timeout=GRACE_SECONDS)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@lru_cache(10_000)
def org_of(agent_id: str) -> str:
    """Whose agent that is, which never changes; "" for one that is not there."""
    return Agent.objects.filter(pk=agent_id).values_list("org_id", flat=True).first() or ""


executor = Executor()


def recover() -> None:
    """At the start of a mode in which no other worker can be alive: take back whatever the last process held.

    Runners live elsewhere and keep what they hold.
    """
    for task in leases.held().exclude(worker_id=runners.BACKEND):
        leases.lose(task, overdue=False)
    Worker.objects.all().delete()
