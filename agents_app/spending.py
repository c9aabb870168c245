"""Tokens and time used by organizations, agents and sessions.

Each attempt that ends writes one line in its own transaction; a sweep folds the lines into sums, so that nobody's
commit waits for a counter. What is told is always the sum and the lines that are not folded yet.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Sum

from taskmaster.core.clock import milliseconds, now
from taskmaster.core.inserts import insert

from .models import Account, Agent, Spending, Task

BATCH = 5_000
_ADVISORY_LOCK = 0x7461736C
_TAKE = """
    DELETE FROM agents_app_spending WHERE id IN (SELECT id FROM agents_app_spending ORDER BY id LIMIT %s)
    RETURNING org_id, agent_id, session_id, tokens, milliseconds
"""
_ADD = """
    INSERT INTO agents_app_account (subject, attempts, tokens, milliseconds) VALUES (%s, %s, %s, %s)
    ON CONFLICT (subject) DO UPDATE SET attempts = agents_app_account.attempts + excluded.attempts,
    tokens = agents_app_account.tokens + excluded.tokens,
    milliseconds = agents_app_account.milliseconds + excluded.milliseconds
"""


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used in all; `milliseconds` is the time agents ran, `attempts` how often they did."""

    attempts: int = 0
    tokens: int = 0
    milliseconds: int = 0

    def plus(self, attempts: int, tokens: int, milliseconds: int) -> "Usage":
        """With so much more."""
        return Usage(self.attempts + attempts, self.tokens + tokens, self.milliseconds + milliseconds)

    def public(self) -> dict[str, int]:
        """As the API shows it."""
        return {"tokensUsed": self.tokens, "duration": self.milliseconds, "attempts": self.attempts}


def spend(task: Task, tokens: int) -> None:
    """Note what an attempt that ends now has used (in its transaction)."""
    ran = 0 if task.started_at is None else max(0, milliseconds(now() - task.started_at))
    about = {"org_id": task.org_id, "agent_id": task.agent_id, "session_id": task.session_id}
    insert([Spending(**about, tokens=tokens, milliseconds=ran)])


def used(**subject: str) -> Usage:
    """What `org_id`, `agent_id` or `session_id` has used until now."""
    ((_, pk),) = subject.items()
    # The lines first: one that is folded in between is then counted twice rather than not at all.
    lines: dict[str, Any] = Spending.objects.filter(**subject).aggregate(
        attempts=Count("*"), tokens=Sum("tokens", default=0), milliseconds=Sum("milliseconds", default=0)
    )
    sums = Account.objects.filter(pk=pk).first() or Account(subject=pk)
    return Usage(**lines).plus(sums.attempts, sums.tokens, sums.milliseconds)


def by_agent(org_id: str) -> list[dict[str, Any]]:
    """What each of the organization's agents has used until now, the dearest first."""
    names = dict(Agent.objects.filter(org=org_id).values_list("pk", "name"))
    # The lines first, as in `used`.
    spent = {agent: Usage(*sums) for agent, *sums in _lines_by_agent(org_id)}
    for a in Account.objects.filter(subject__in=names):
        spent[a.subject] = spent.get(a.subject, Usage()).plus(a.attempts, a.tokens, a.milliseconds)
    dearest = sorted(spent, key=lambda agent: (-spent[agent].tokens, agent))
    return [{"agentId": agent, "name": names[agent]} | spent[agent].public() for agent in dearest if agent in names]


def _lines_by_agent(org_id: str) -> Any:
    lines = Spending.objects.filter(org_id=org_id).order_by().values("agent_id")
    sums = lines.annotate(attempts=Count("*"), used=Sum("tokens"), ran=Sum("milliseconds"))
    return sums.values_list("agent_id", "attempts", "used", "ran")


def fold() -> int:
    """Fold what lies there into the sums. Returns how many lines there were."""
    folded = 0
    while count := _fold_batch():
        folded += count
        if count < BATCH:
            break
    return folded


@transaction.atomic
def _fold_batch() -> int:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])
        cursor.execute(_TAKE, [BATCH])
        lines = cursor.fetchall()
        sums: dict[str, Counter[str]] = {}
        for *subjects, tokens, ran in lines:
            for subject in filter(None, subjects):
                sums.setdefault(subject, Counter()).update({"attempts": 1, "tokens": tokens, "milliseconds": ran})
        rows = [(subject, s["attempts"], s["tokens"], s["milliseconds"]) for subject, s in sorted(sums.items())]
        if rows:
            cursor.executemany(_ADD, rows)
    return len(lines)
