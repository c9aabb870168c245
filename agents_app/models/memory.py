"""What an agent keeps of a conversation."""

from django.db import models

from taskmaster.core.clock import now
from taskmaster.core.fields import JsonField
from taskmaster.core.ids import LENGTH

from .agent import Agent


class Memory(models.Model):
    """What an agent's backend wants back at the next request: of a session, or of a task that has none.

    `subject` is the session's or the task's id; `content` is the backend's own, such as the id of a provider's run.
    """

    subject = models.CharField(max_length=LENGTH)
    agent = models.ForeignKey(Agent, models.CASCADE, db_index=False, related_name="+")
    content = JsonField(default=dict)
    changed_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subject", "agent"], name="one_memory_a_subject")]

    def __str__(self) -> str:
        return f"{self.agent_id} of {self.subject}"
