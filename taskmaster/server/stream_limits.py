"""How many event streams there may be, and for how long: each ends with the token that it was opened with."""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from django.db.models import Q
from django.db.models.functions import Now

from taskmaster.api.following import Follow
from taskmaster.api.waits import Wait
from taskmaster.core.errors import ApiError, Overloaded, RateLimited
from taskmaster.orgs.models import ApiToken

# Of one process, and of one organization in it: there must be room for the waits, and for everybody else.
MOST, MOST_OF_ORG = 5_000, 1_000
COME_BACK_SECONDS = 5


class Streams:
    """All streams of this process, counted."""

    def __init__(self) -> None:
        self._of: Counter[str] = Counter()

    def refuse(self, org_id: str) -> ApiError | None:
        """Why there may not be another one of this organization, if there may not."""
        if self._of.total() >= MOST:
            return Overloaded(retry_after=COME_BACK_SECONDS)
        if self._of[org_id] >= MOST_OF_ORG:
            return RateLimited(f"An organization has at most {MOST_OF_ORG} streams.", retry_after=COME_BACK_SECONDS)
        return None

    @contextmanager
    def entered(self, org_id: str) -> Iterator[None]:
        """Count one, for as long as the block runs."""
        self._of[org_id] += 1
        try:
            yield
        finally:
            self._of[org_id] -= 1
            if not self._of[org_id]:
                del self._of[org_id]


def while_valid(follow: Follow) -> Wait:
    """The wait for the end of a stream's token, which is swept with all other waits: one query for all."""
    return Wait(key=f"token:{follow.token_id}", seconds=math.inf, finish=lambda: None, ended=lapsed)


def lapsed(keys: list[str]) -> set[str]:
    """Of these keys `token:<id>`, those whose tokens are revoked, expired, gone or of a suspended organization."""
    good = Q(revoked_at=None, org__suspended_at=None) & (Q(expires_at=None) | Q(expires_at__gt=Now()))
    ids = [key.removeprefix("token:") for key in keys]
    return set(keys) - {f"token:{pk}" for pk in ApiToken.objects.filter(good, pk__in=ids).values_list("pk", flat=True)}
