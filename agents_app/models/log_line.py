"""What a task said while it ran."""

from typing import Any

from django.db import models

from taskmaster.core.clock import iso, now

from .task import Task


class LogLine(models.Model):
    """One line of a task's log."""

    id = models.BigAutoField(primary_key=True)
    task = models.ForeignKey(Task, models.CASCADE, db_index=False, related_name="lines")
    attempt = models.PositiveIntegerField()
    text = models.TextField()
    at = models.DateTimeField(default=now)

    class Meta:
        indexes = [models.Index(fields=["task", "id"], name="log_of_task")]

    def __str__(self) -> str:
        return self.text[:80]

    def public(self) -> dict[str, Any]:
        """The line as the API shows it."""
        return {"timestamp": iso(self.at), "attempt": self.attempt, "message": self.text}
