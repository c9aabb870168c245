"""Ending an attempt: well, badly, or to be tried again. Whoever has lost the lease changes nothing."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import orjson
from django.db import models, transaction
from django.db.models import F
from django.db.models.functions import Now

from agents_app import actions, breaker, spending
from agents_app.models import Task
from taskmaster.core.bundles import one_transaction
from taskmaster.core.clock import now
from taskmaster.core.prepared import Slot, Update
from taskmaster.core.subscriptions import notify
from taskmaster.events.log import record, together

from .held import held

# How often a backend's passing failure is tried again, and after how long.
RETRY_AFTER = (timedelta(seconds=1), timedelta(seconds=5), timedelta(seconds=30))
# The code of a failure that says only that the provider takes no more for a while.
LIMITED = "rate_limited"


_OUTCOME = {"result", "error", "error_code", "progress", "tokens_used", "backend", "model", "truncated", "finished_at"}
_END = Update(
    lambda: Task.objects.filter(pk=Slot("pk"), lease=Slot("lease"), status__in=Task.HELD),
    status=Slot("status"),
    lease="",
    **dict[str, Any]((name, Slot(name, models.Field())) for name in _OUTCOME),
)


def report_progress(task: Task, fraction: float, note: str = "") -> bool:
    """Store how far a running task is; False where the lease is lost."""
    with transaction.atomic():
        if not held().filter(pk=task.pk, lease=task.lease).update(progress=fraction):
            return False
        record(task.org_id, ("task.progress", task.news(progress=fraction, message=note)))
    return True


def complete(task: Task, **outcome: Any) -> bool:
    """End a running task well; False, and nothing changes, where the lease is lost."""
    return _end(task, Task.COMPLETED, lambda: breaker.succeeded(task), progress=1.0, **outcome)


def fail(task: Task, *, error: str, code: str, **outcome: Any) -> bool:
    """End a running task as failed; False, and nothing changes, where the lease is lost."""
    judge = partial(breaker.failed, task, error, code)
    return _end(task, Task.FAILED, judge, error=error, error_code=code, **outcome)


class _LeaseGone(Exception):
    """Somebody else has ended the task, or holds it."""


def _end(task: Task, status: str, judge: Callable[[], None], **changes: Any) -> bool:
    if not task.lease:
        return False
    before = {name: getattr(task, name) for name in (*_OUTCOME, "status", "lease")}
    try:
        with one_transaction(), together():
            _ended(task, status, before | changes | {"finished_at": now()})
            # The agent's row, if it is written, before that of the workflow that goes on.
            judge()
            notify(f"task.{status}", task)
    except _LeaseGone:
        vars(task).update(before)
        return False
    return True


def _ended(task: Task, status: str, outcome: dict[str, Any]) -> None:
    result = outcome["result"]
    stored = {name: outcome[name] for name in _OUTCOME}
    stored["result"] = None if result is None else orjson.dumps(result).decode()
    _END.later(pk=task.pk, lease=task.lease, status=status, rows=1, otherwise=_LeaseGone, **stored)
    vars(task).update(outcome | {"status": status, "lease": ""})
    spending.spend(task, task.tokens_used)
    actions.expire_of(task)
    told = {"result": result} if status == Task.COMPLETED else {"error": task.error, "code": task.error_code}
    record(task.org_id, (f"task.{status}", task.news(duration=task.duration or 0, **told)))


@transaction.atomic
def give_back(task: Task, *, after: timedelta | None, error: str, code: str = "", tokens: int = 0) -> bool:
    """Put a running task back into its queue for another attempt, after a while; False where the lease is lost.

    An attempt that failed, and did not only meet a provider's rate limit, is one of the few that a task has.
    """
    counts = after is not None and code != LIMITED
    again = {
        "lease": "",
        "not_before": None if after is None else Now() + after,
        "failures": F("failures") + int(counts),
    }
    if not task.lease or not task.try_move(Task.QUEUED, where={"lease": task.lease}, error=error, **again):
        return False
    spending.spend(task, tokens)
    actions.expire_of(task)
    if counts:
        breaker.failed(task, error, code)
    delay = 0 if after is None else round(after.total_seconds() * 1000)
    record(task.org_id, ("task.retrying", task.news(attempt=task.attempts, error=error, retryAfter=delay)))
    return True
