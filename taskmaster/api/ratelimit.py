"""Rate limits, counted by django-ratelimit in the shared cache."""

import logging
import time
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django_ratelimit.core import get_usage

from taskmaster.orgs.models import ApiToken

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Usage:
    """Where a caller stands in the current window; `reset` is epoch seconds."""

    limit: int
    remaining: int
    reset: int
    exceeded: bool

    @property
    def retry_after(self) -> int:
        """Seconds until the window ends, at least 1."""
        return max(1, self.reset - int(time.time()))

    def mark(self, response: HttpResponse) -> None:
        """Set the headers."""
        response["X-RateLimit-Limit"] = str(self.limit)
        response["X-RateLimit-Remaining"] = str(self.remaining)
        response["X-RateLimit-Reset"] = str(self.reset)


def count_token(request: HttpRequest, token: ApiToken) -> Usage:
    """Count a request of this token: its own rate, else its organization's, else the default."""
    rate = token.rate_limit or token.org.rate_limit or settings.RATE_LIMIT_AUTHENTICATED
    return _count(request, "token", token.pk, rate)


def count_hook(request: HttpRequest, hook_id: str, rate: str) -> Usage:
    """Count a signed delivery to this hook: its organization's own rate, else the default."""
    return _count(request, "hook", hook_id, rate or settings.RATE_LIMIT_AUTHENTICATED)


def count_address(request: HttpRequest) -> Usage:
    """Count a request without a valid token, by the client's address."""
    return _count(request, "address", client_address(request), settings.RATE_LIMIT_ANONYMOUS)


def client_address(request: HttpRequest) -> str:
    """The client's address: the peer's, or what the configured number of trusted proxies say it is."""
    proxies = settings.TRUSTED_PROXIES
    forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    if proxies and len(forwarded) >= proxies:
        return forwarded[-proxies]
    return str(request.META.get("REMOTE_ADDR", ""))


def _count(request: HttpRequest, group: str, value: str, rate: str) -> Usage:
    try:
        usage = get_usage(request, group=group, key=lambda group, request: value, rate=rate, increment=True)
    except Exception as error:
        # An unreachable cache must not take the API down with it.
        logger.warning("rate limit not counted: %s", type(error).__name__)
        usage = None
    # A limit of 0 is the library's word for a counter that the cache has lost.
    if usage is None or not usage["limit"]:
        limit = int(rate.partition("/")[0])
        return Usage(limit, limit, int(time.time()) + 1, exceeded=False)
    remaining = max(0, usage["limit"] - usage["count"])
    # The library's window still counts down within its last second, so the reset is never in the past.
    reset = int(time.time()) + max(1, usage["time_left"])
    return Usage(usage["limit"], remaining, reset, exceeded=usage["should_limit"])
