"""What a running task tells: pieces of its answer go out live, its progress and its log are stored now and then."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from taskmaster.core.wakeups import hub

from . import actions, leases, logs, memories
from .backends.base import Decision, Question
from .models import Task

PROGRESS_EVERY = 1.0
# Pieces that come close together travel together, and an answer that is there by then needs none.
GATHER_SECONDS = 0.02
# Lines of a log are stored together; an attempt that ends stores what is left.
LOG_SECONDS = 0.5
# A lost signal is noticed after this many seconds.
LOOK_SECONDS = 2.0

T = TypeVar("T")


class TaskReporter:
    """The reporter of one attempt. `in_pool` runs a call in a thread that may use the database."""

    def __init__(self, task: Task, in_pool: Callable[[Callable[[], Any]], "asyncio.Future[Any]"]) -> None:
        self._task = task
        self._in_pool = in_pool
        self._about = _about(task)
        self._told = 0
        self._gathered = ""
        self._due: asyncio.TimerHandle | None = None
        self._stored_at = 0.0
        self._lines: list[str] = []
        self._lines_due: asyncio.TimerHandle | None = None
        self._calls: deque[Callable[[], Any]] = deque()
        self._storing: asyncio.Task[None] | None = None
        # The clock of the attempt, which stands still while a person is asked.
        self.clock: asyncio.Timeout | None = None

    def delta(self, text: str) -> None:
        """Send a piece of the answer to whoever watches."""
        self._gathered += text
        if self._gathered and self._due is None:
            self._due = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._flush)

    def progress(self, fraction: float, note: str = "") -> None:
        """Send it to whoever watches, and store it at most once a second."""
        hub.send(self._task.live_key, {"event": "progress", "progress": fraction, "message": note})
        if time.monotonic() - self._stored_at >= PROGRESS_EVERY:
            self._stored_at = time.monotonic()
            self._in_pool(partial(leases.report_progress, self._task, fraction, note))

    def log(self, line: str) -> None:
        """Keep a line for the task's log."""
        self._lines.append(line)
        if self._lines_due is None:
            self._lines_due = asyncio.get_running_loop().call_later(LOG_SECONDS, self._write)

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Keep this for the next attempt or request, whatever becomes of this one."""
        self._store(partial(memories.remember, self._task, dict(memory)))

    async def ask(self, question: Question) -> Decision:
        """Wait for a person's decision; the task is `waiting`, and its time stands still, meanwhile."""
        left = self._stop_clock()
        try:
            action_id = await self._asked(question)
            if not action_id:
                # Somebody else has the task by now; the heartbeat ends this attempt.
                return Decision(allowed=False, reason="The task was taken from this worker.", on_deny="stop")
            decision = await self._decided(action_id)
            await self._in_pool(partial(actions.go_on, self._task))
            return decision
        finally:
            self._start_clock(left)

    def finish(self) -> None:
        """It has said everything; whoever watches gets the end of an answer that it has seen the beginning of."""
        for due in (self._due, self._lines_due):
            if due is not None:
                due.cancel()
        self._due = self._lines_due = None
        if self._told:
            self._flush()
        self._write()

    async def stored(self) -> None:
        """Every line of the log is stored, and what is to be remembered."""
        if self._storing is not None:
            await self._storing

    def _flush(self) -> None:
        self._due = None
        if self._gathered:
            # `offset` counts the characters before it.
            piece = {"event": "delta", "content": self._gathered, "offset": self._told}
            hub.send(self._task.live_key, piece | self._about)
            self._told += len(self._gathered)
            self._gathered = ""

    def _write(self) -> None:
        """Store the lines that were gathered."""
        self._lines_due = None
        if self._lines:
            lines, self._lines = self._lines, []
            self._store(partial(logs.write, self._task, lines))

    def _store(self, call: Callable[[], Any]) -> None:
        """Have it done after what was to be stored before."""
        self._calls.append(call)
        if self._storing is None or self._storing.done():
            self._storing = asyncio.get_running_loop().create_task(self._store_all())

    async def _store_all(self) -> None:
        while self._calls:
            await self._in_pool(self._calls.popleft())

    async def _asked(self, question: Question) -> str:
        """The new action's id, "" where the lease is lost. The database may be away for a moment."""
        while True:
            action_id: str | None = await self._in_pool(partial(actions.ask, self._task, question))
            if action_id is not None:
                return action_id
            await asyncio.sleep(1)

    async def _decided(self, action_id: str) -> Decision:
        key, heard = f"action:{action_id}", asyncio.Event()
        loop = asyncio.get_running_loop()

        def signalled(_: Any) -> None:
            loop.call_soon_threadsafe(heard.set)

        hub.listen_from(key, signalled)
        try:
            while True:
                heard.clear()
                decision: Decision | None = await self._in_pool(partial(actions.decision_of, action_id))
                if decision is not None:
                    return decision
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        await heard.wait()
                except TimeoutError:
                    continue
        finally:
            hub.unlisten_from(key, signalled)

    def _stop_clock(self) -> float | None:
        """Returns the seconds that were left; None where the clock stands already, or there is none."""
        when = self.clock.when() if self.clock else None
        if self.clock is None or when is None:
            return None
        self.clock.reschedule(None)
        return max(0.0, when - asyncio.get_running_loop().time())

    def _start_clock(self, left: float | None) -> None:
        if self.clock is not None and left is not None and not self.clock.expired():
            self.clock.reschedule(asyncio.get_running_loop().time() + left)


def _about(task: Task) -> dict[str, Any]:
    """What is told with each piece, for whoever watches more than this one."""
    return {
        "attempt": task.attempts,
        "orgId": task.org_id,
        "messageId": task.origin_id if task.origin == "message" else None,
        "sessionId": task.session_id,
        "taskId": task.pk,
        "workflowId": task.workflow_id,
    }
