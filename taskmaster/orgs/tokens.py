"""Making, finding and revoking tokens."""

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Q

from taskmaster.core.clock import now
from taskmaster.core.prepared import Select, Slot
from taskmaster.core.secret_box import digest, digests

from .models import SCOPES, ApiToken, Organization

PREFIX = "tm_"
PURPOSE = "api-token"
LAST_USED_EVERY = timedelta(minutes=1)

_BY_DIGEST = Select(lambda: ApiToken.objects.select_related("org").filter(digest=Slot("digest")))


def issue_token(
    *, org: Organization, name: str, scopes: Iterable[str], expires_at: datetime | None = None, rate_limit: str = ""
) -> tuple[ApiToken, str]:
    """A new token and its secret, which is nowhere else from now on."""
    secret = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        org=org,
        name=name,
        scopes=[scope for scope in SCOPES if scope in set(scopes)],
        digest=digest(PURPOSE, secret),
        last_four=secret[-4:],
        expires_at=expires_at,
        rate_limit=rate_limit,
    )
    return token, secret


def find_token(secret: str) -> ApiToken | None:
    """The valid token with this secret, with its organization, by one indexed lookup."""
    if not secret.startswith(PREFIX) or len(secret) > 100:
        return None
    found = (_BY_DIGEST.first(digest=one) for one in digests(PURPOSE, secret))
    token = next((token for token in found if token), None)
    return token if token and token.is_valid(now()) else None


def note_use(token: ApiToken) -> None:
    """Remember that it was used, at most once a minute, since every write costs."""
    moment = now()
    if token.last_used_at is None or moment - token.last_used_at > LAST_USED_EVERY:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=moment - LAST_USED_EVERY)
        ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=moment)


def revoke_token(token: ApiToken) -> None:
    """End it; a second time changes nothing."""
    ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now())
