"""Tokens and time: a line for each attempt that ended, folded into sums."""

from django.db import models

from taskmaster.core.ids import LENGTH


class Spending(models.Model):
    """What one attempt used, until it is folded into the sums: nobody's commit waits for a counter."""

    id = models.BigAutoField(primary_key=True)
    org_id = models.CharField(max_length=LENGTH)
    agent_id = models.CharField(max_length=LENGTH)
    session_id = models.CharField(max_length=LENGTH, null=True)
    tokens = models.PositiveBigIntegerField()
    milliseconds = models.PositiveBigIntegerField()

    class Meta:
        indexes = [
            models.Index(fields=["org_id"], name="spending_of_org"),
            models.Index(fields=["agent_id"], name="spending_of_agent"),
            models.Index(fields=["session_id"], name="spending_of_session"),
        ]

    def __str__(self) -> str:
        return f"{self.agent_id}: {self.tokens} tokens"


class Account(models.Model):
    """What an organization, an agent or a session has used in all; `subject` is its id."""

    subject = models.CharField(primary_key=True, max_length=LENGTH)
    attempts = models.PositiveBigIntegerField(default=0)
    tokens = models.PositiveBigIntegerField(default=0)
    milliseconds = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.subject}: {self.tokens} tokens"
