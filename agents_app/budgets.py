"""Budgets: what is used up makes work wait and asks a person; it never ends anything by itself.

A budget is looked at before a task starts, so what runs at that moment may still go over it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from taskmaster.core.clock import now
from taskmaster.core.errors import ValidationFailed
from taskmaster.core.subscriptions import notify
from taskmaster.events.log import record
from taskmaster.orgs.models import Organization

from . import dispatch, spending
from .models import Action, Task
from .org_limits import org_limits

DENIED = "budget_reached"
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Budget:
    """How many tokens `subject`, a session or an organization, may use in all."""

    subject: str
    tokens: int

    @property
    def scope(self) -> str:
        """session or org."""
        return self.subject.partition("_")[0]

    def used(self) -> int:
        """How many it has used."""
        return spending.used(**{f"{self.scope}_id": self.subject}).tokens


@dataclass(frozen=True, slots=True)
class Raised:
    """A budget that somebody raised: the news for whoever keeps it."""

    subject: str
    tokens: int


def within(tasks: Iterable[Task]) -> list[Task]:
    """Those that may start; the others wait from now on (in the claim's transaction)."""
    left: dict[Budget, int] = {}
    fit = []
    for task in tasks:
        budget = next((b for b in _budgets_of(task) if _left(b, left) <= 0), None)
        if budget is None:
            fit.append(task)
        else:
            _park(task, budget)
    return fit


def _budgets_of(task: Task) -> Iterable[Budget]:
    if task.session_budget is not None and task.session_id:
        yield Budget(task.session_id, task.session_budget)
    of_org = org_limits.of(task.org_id).token_budget
    if of_org is not None:
        yield Budget(task.org_id, of_org)


def _left(budget: Budget, known: dict[Budget, int]) -> int:
    if budget not in known:
        known[budget] = budget.tokens - budget.used()
    return known[budget]


def _park(task: Task, budget: Budget) -> None:
    if task.try_move(Task.WAITING, where={"status": Task.QUEUED}, waits_for=budget.subject):
        action = _question(task, budget)
        record(task.org_id, ("task.waiting", task.news(actionId=action.pk)))


def _question(task: Task, budget: Budget) -> Action:
    """The open question about this budget, asked now where nobody has."""
    open_one = Action.objects.filter(subject=budget.subject, status=Action.PENDING)
    found = open_one.first()
    if found:
        return found
    asked = {"scope": budget.scope, "tokenBudget": budget.tokens, "tokensUsed": budget.used()}
    session = task.session_id if budget.scope == "session" else None
    about = {"org_id": task.org_id, "kind": "budget", "tool": "token_budget", "subject": budget.subject}
    message = task.origin_id if task.origin == "message" else None
    action = Action(**about, session_id=session, task_id=task.pk, message_id=message, input=asked, risk="low")
    try:
        with transaction.atomic():
            action.save(force_insert=True)
    except IntegrityError:
        return open_one.get()
    told = {**asked, "sessionId": session, "actionId": action.pk}
    record(task.org_id, ("budget.reached", told), ("action.pending", action.news()))
    return action


def check(updated: Mapping[str, Any]) -> None:
    """Refuse a new size that is none: taken for no size at all, the budget would grow to another than was meant."""
    tokens = updated.get("tokenBudget")
    if tokens is not None and (type(tokens) is not int or tokens < 1):
        raise ValidationFailed.of("updatedInput.tokenBudget", "must be a whole number of at least 1")


def decided(action: Action) -> None:
    """Confirmed: the budget grows, to what was typed or by as much as it was, and work goes on. Denied: it fails."""
    if action.status == Action.CONFIRMED:
        typed = (action.updated_input or {}).get("tokenBudget")
        asked = action.input
        fresh = typed or asked["tokensUsed"] + asked["tokenBudget"]
        _raise_to(action, fresh)
        release(action.subject)
        return
    reason = "The token budget is used up" + (f": {action.reason}" if action.reason else ".")
    for tasks in _move(action.subject, Task.FAILED, error=reason, error_code=DENIED, finished_at=now()):
        for task in tasks:
            record(task.org_id, ("task.failed", task.news(error=reason, code=DENIED, duration=0)))
            notify("task.failed", task)


def _raise_to(action: Action, tokens: int) -> None:
    if action.subject == action.org_id:
        Organization.objects.filter(pk=action.org_id).update(token_budget=tokens)
        org_limits.forget()
    else:
        Task.objects.filter(session_id=action.subject, status__in=Task.UNFINISHED).update(session_budget=tokens)
        notify("budget.raised", Raised(action.subject, tokens))


def parked(subject: str) -> "QuerySet[Task]":
    """The tasks that wait for this session's or organization's budget."""
    return Task.objects.select_related("agent").filter(status=Task.WAITING, waits_for=subject)


def release(subject: str) -> None:
    """Queue what waits for it; what is still over a budget will wait again (in a transaction)."""
    for tasks in _move(subject, Task.QUEUED, waits_for=""):
        record(tasks[0].org_id, *[("task.queued", task.news(priority=task.priority_name)) for task in tasks])
        for agent in {task.agent_id: task.agent for task in tasks}.values():
            dispatch.wake(agent)


def _move(subject: str, target: str, **changes: Any) -> Iterator[list[Task]]:
    """Move all that waits for this budget, many at a time: a whole backlog may (in a transaction)."""
    while tasks := list(parked(subject).select_for_update(of=("self",), no_key=True).order_by("pk")[:AT_ONCE]):
        moved = {"status": target} | changes
        Task.objects.filter(pk__in=[task.pk for task in tasks]).update(**moved)
        for task in tasks:
            vars(task).update(moved)
        yield tasks


def look_again() -> None:
    """The sweep: questions that a changed budget has answered, or that nothing waits for any more, are over."""
    for action in Action.objects.filter(status=Action.PENDING, kind="budget")[:500]:
        _look_at(action)


@transaction.atomic
def _look_at(action: Action) -> None:
    waiting = parked(action.subject).first()
    if waiting and any(b.subject == action.subject and b.used() >= b.tokens for b in _budgets_of(waiting)):
        return
    reason = "The budget was changed." if waiting else "Nothing waits for it any more."
    if action.try_move(Action.EXPIRED, reason=reason, decided_at=now()):
        record(action.org_id, ("action.expired", action.news()))
        release(action.subject)
