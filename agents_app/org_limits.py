"""What operators have limited of whole organizations: looked up at most once a second by each process."""

import threading
import time
from dataclasses import dataclass

from django.db.models import Q

from taskmaster.orgs.models import Organization

FRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class OrgLimit:
    """None is no limit."""

    token_budget: int | None = None
    max_running: int | None = None


NO_LIMIT = OrgLimit()


class OrgLimits:
    """The few organizations that have one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0
        self._limits: dict[str, OrgLimit] = {}

    def of(self, org_id: str) -> OrgLimit:
        """That organization's limits, as they were a second ago at the latest."""
        with self._lock:
            if time.monotonic() >= self._until:
                limited = Organization.objects.exclude(token_budget=None, max_running=None)
                rows = limited.filter(Q(token_budget__isnull=False) | Q(max_running__isnull=False))
                self._limits = {
                    pk: OrgLimit(budget, most)
                    for pk, budget, most in rows.values_list("pk", "token_budget", "max_running")
                }
                self._until = time.monotonic() + FRESH_SECONDS
            return self._limits.get(org_id) or NO_LIMIT

    def forget(self) -> None:
        """Look again at the next question."""
        self._until = 0.0


org_limits = OrgLimits()
