"""Asking a person, and what becomes of the answer: the first decision wins."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from taskmaster.core.clock import now
from taskmaster.core.errors import InvalidState
from taskmaster.core.subscriptions import notify
from taskmaster.core.wakeups import hub
from taskmaster.events.log import record, together

from . import budgets
from .backends.base import Decision, Question
from .models import Action, Task

# Who acts on a decision besides whoever waits for it, by the action's kind.
DECIDED: dict[str, Callable[[Action], None]] = {"budget": budgets.decided}
# What a confirmation may say, by the action's kind; of all others anything.
CHECKED: dict[str, Callable[[Mapping[str, Any]], None]] = {"budget": budgets.check}
NOBODY = "Nobody decided in time."


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision as it comes in; `by` names who made it."""

    confirmed: bool
    by: str
    reason: str = ""
    updated_input: dict[str, Any] | None = None
    always_allow: bool = False
    on_deny: str = ""

    @property
    def status(self) -> str:
        """What the action becomes."""
        return Action.CONFIRMED if self.confirmed else Action.DENIED


@transaction.atomic
def ask(task: Task, question: Question) -> str:
    """A running task waits for a permission. Returns the action's id, "" where the task's lease is lost."""
    mine = Task.objects.filter(pk=task.pk, lease=task.lease).exclude(lease="")
    if not mine.update(status=Task.WAITING, asked=F("asked") + 1):
        return ""
    task.status, task.asked = Task.WAITING, task.asked + 1
    action = Action(
        org_id=task.org_id,
        kind="tool",
        tool=question.tool[:200],
        input=dict(question.input),
        diff=question.diff,
        risk=question.risk,
        session_id=task.session_id,
        task_id=task.pk,
        message_id=task.origin_id if task.origin == "message" else None,
        expires_at=now() + timedelta(seconds=settings.ACTION_EXPIRES_SECONDS),
    )
    action.save(force_insert=True)
    record(task.org_id, ("task.waiting", task.news(actionId=action.pk)), ("action.pending", action.news()))
    hub.send_on_commit(task.live_key, {"event": "action", "action": action.public()})
    return action.pk


@transaction.atomic
def go_on(task: Task) -> None:
    """What it asked for is decided: the task runs again, unless its lease is lost or another question is open."""
    if not Action.objects.filter(task_id=task.pk, status=Action.PENDING).exists():
        task.try_move(Task.RUNNING, where={"lease": task.lease, "status": Task.WAITING})


def decision_of(action_id: str) -> Decision | None:
    """What was decided, or None while it is open."""
    action = Action.objects.filter(pk=action_id).first()
    if action is None:
        return Decision(allowed=False, reason="The question is gone.")
    if action.status == Action.PENDING:
        return None
    return Decision(
        allowed=action.status == Action.CONFIRMED,
        reason=action.reason,
        input=action.updated_input,
        always=action.always_allow,
        on_deny=action.on_deny,
    )


def decide(action: Action, verdict: Verdict) -> Action:
    """Decide it. The same decision again changes nothing; the opposite, or one that is late, raises InvalidState.

    Raises ValidationFailed for an updated input that the action's kind cannot take.
    """
    if verdict.confirmed and verdict.updated_input and action.kind in CHECKED:
        CHECKED[action.kind](verdict.updated_input)
    if action.expires_at and action.expires_at <= now():
        with transaction.atomic():
            _expire([action], NOBODY)
    return _decide(action, verdict)


@transaction.atomic
def _decide(action: Action, verdict: Verdict) -> Action:
    changes: dict[str, Any] = {
        "decided_by": verdict.by[:250],
        "reason": verdict.reason,
        "updated_input": verdict.updated_input if verdict.confirmed else None,
        "always_allow": verdict.always_allow,
        "on_deny": verdict.on_deny,
        "decided_at": now(),
    }
    if not action.try_move(verdict.status, **changes):
        action.refresh_from_db()
        if action.status != verdict.status:
            raise InvalidState(
                f"The action is {action.status}.", details=[{"field": "status", "message": action.status}]
            )
        return action
    with together():
        record(action.org_id, (f"action.{action.status}", action.news()))
        if action.kind in DECIDED:
            DECIDED[action.kind](action)
        notify(f"action.{action.kind}.decided", action)
    hub.send_on_commit(f"action:{action.pk}")
    return action


@transaction.atomic(savepoint=False)
def expire_of(task: Task) -> None:
    """Whoever asked is gone: its open questions are over (in the transaction of its end)."""
    if task.asked:
        # Not a budget's, which others wait for too.
        asked = Action.objects.filter(task_id=task.pk, kind="tool", status=Action.PENDING)
        _expire(asked, "What asked is over.")


@transaction.atomic
def expire(action: Action, reason: str) -> None:
    """Nobody needs to decide it any more."""
    _expire([action], reason)


@transaction.atomic
def expire_due() -> None:
    """Close the questions whose time is over."""
    _expire(Action.objects.filter(status=Action.PENDING, expires_at__lte=Now())[:500], NOBODY)


def _expire(actions: Any, reason: str) -> None:
    for action in actions:
        if action.try_move(Action.EXPIRED, reason=reason, decided_at=now()):
            record(action.org_id, ("action.expired", action.news()))
            notify(f"action.{action.kind}.expired", action)
            hub.send_on_commit(f"action:{action.pk}")
