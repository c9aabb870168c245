"""Something that waits for a person's decision."""

from typing import Any

from django.db import models
from django.db.models import Q

from taskmaster.core.clock import iso, now
from taskmaster.core.fields import JsonField
from taskmaster.core.ids import LENGTH, id_factory
from taskmaster.core.states import StateMachine
from taskmaster.orgs.models import Organization

KINDS = ("tool", "budget", "approval")
RISKS = ("low", "medium", "high")


class Action(StateMachine):
    """A use of a tool that the agent may not decide itself, or a budget that is used up.

        pending ──▶ confirmed
           ├─────▶ denied
           └─────▶ expired   nobody decided in time, or what asked is over

    The first decision wins. One without `expires_at` waits for ever.
    """

    PENDING, CONFIRMED, DENIED, EXPIRED = "pending", "confirmed", "denied", "expired"
    STATUSES = (PENDING, CONFIRMED, DENIED, EXPIRED)
    MOVES = {CONFIRMED: (PENDING,), DENIED: (PENDING,), EXPIRED: (PENDING,)}

    id = models.CharField(primary_key=True, max_length=LENGTH, default=id_factory("action"), editable=False)
    org = models.ForeignKey(Organization, models.CASCADE, db_index=False, related_name="actions")
    kind = models.CharField(max_length=16, choices=[(kind, kind) for kind in KINDS])
    status = models.CharField(max_length=16, default=PENDING)
    tool = models.CharField(max_length=200, blank=True)
    input = JsonField(default=dict)
    diff = models.TextField(null=True)
    risk = models.CharField(max_length=16, default="medium", choices=[(risk, risk) for risk in RISKS])
    session_id = models.CharField(max_length=LENGTH, null=True, blank=True)
    task_id = models.CharField(max_length=LENGTH, null=True, blank=True)
    message_id = models.CharField(max_length=LENGTH, null=True, blank=True)
    workflow_id = models.CharField(max_length=LENGTH, null=True, blank=True)
    # What it is about where it must be found again: a budget's session or organization, a workflow's step.
    subject = models.CharField(max_length=2 * LENGTH, blank=True)
    created_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField(null=True, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=250, blank=True)
    reason = models.TextField(blank=True)
    updated_input = JsonField(null=True)
    always_allow = models.BooleanField(default=False)
    on_deny = models.CharField(max_length=16, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["org", "-id"], name="action_of_org"),
            models.Index(fields=["org", "status", "-id"], name="action_by_status"),
            models.Index(fields=["session_id", "-id"], name="action_of_session"),
            models.Index(fields=["task_id", "-id"], name="action_of_task"),
            models.Index(fields=["expires_at"], name="action_expiry", condition=Q(status="pending")),
        ]
        constraints = [
            # Whoever finds a budget used up second finds the question already asked.
            models.UniqueConstraint(
                fields=["subject"], name="one_open_question", condition=Q(status="pending") & ~Q(subject="")
            )
        ]

    def __str__(self) -> str:
        return f"{self.tool or self.kind} {self.id}"

    def news(self) -> dict[str, Any]:
        """What every event about it says."""
        about = {"actionId": self.id, "kind": self.kind, "tool": self.tool or None, "risk": self.risk}
        about |= {"sessionId": self.session_id, "taskId": self.task_id, "messageId": self.message_id}
        about |= {"workflowId": self.workflow_id}
        if self.status == self.PENDING:
            return about | {"input": self.input, "diff": self.diff, "expiresAt": iso(self.expires_at)}
        return about | {"decidedBy": self.decided_by or None, "reason": self.reason or None}

    def public(self) -> dict[str, Any]:
        """The action as the API shows it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "status": self.status,
            "tool": self.tool or None,
            "input": self.input,
            "diff": self.diff,
            "risk": self.risk,
            "sessionId": self.session_id,
            "taskId": self.task_id,
            "messageId": self.message_id,
            "workflowId": self.workflow_id,
            "createdAt": iso(self.created_at),
            "expiresAt": iso(self.expires_at),
            "decidedAt": iso(self.decided_at),
            "decidedBy": self.decided_by or None,
            "reason": self.reason or None,
            "updatedInput": self.updated_input,
            "executedAt": iso(self.decided_at) if self.status == self.CONFIRMED else None,
        }
