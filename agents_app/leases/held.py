"""What a lease is, and who has one."""

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now

from agents_app.models import Task

LEASE_SECONDS = 10.0


def held() -> "QuerySet[Task]":
    """The tasks that somebody holds: those that run, and those that wait for a decision with their agent."""
    return Task.objects.exclude(lease="")


def expiry() -> Any:
    """When a lease that is given now runs out."""
    return Now() + timedelta(seconds=LEASE_SECONDS)
