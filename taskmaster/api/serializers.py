"""What clients send about tokens and their organization."""

import re
from typing import Any

from django.utils.dateparse import parse_datetime
from rest_framework import serializers

from taskmaster.core.clock import now
from taskmaster.orgs.models import SCOPES

from .fields import Choice, Rate, Text, Whole


class Moment(serializers.Field):  # type: ignore[type-arg]
    """An ISO 8601 time with its offset, in the future."""

    def to_internal_value(self, data: Any) -> Any:
        """The moment."""
        try:
            moment = (
                parse_datetime(data) if isinstance(data, str) and re.fullmatch(r"[0-9TZ:.+\- ]{10,40}", data) else None
            )
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise serializers.ValidationError("must be an ISO 8601 time with a time zone, such as 2030-01-01T00:00:00Z")
        if moment <= now():
            raise serializers.ValidationError("must be in the future")
        return moment


class TokenIn(serializers.Serializer[Any]):
    """A new token."""

    name = Text(max_length=200)
    scopes = serializers.ListField(child=Choice(list(SCOPES)), min_length=1, max_length=len(SCOPES))
    expiresAt = Moment(required=False, allow_null=True, source="expires_at")
    rateLimit = Rate(required=False, source="rate_limit")


class OrgPatch(serializers.Serializer[Any]):
    """A change of the organization: what is not named stays; a rateLimit of null is the default again."""

    name = Text(required=False, max_length=200)
    rateLimit = Rate(required=False, allow_null=True, source="rate_limit")
    tokenBudget = Whole(required=False, allow_null=True, min_value=1, max_value=2**53 - 1, source="token_budget")
    maxRunning = Whole(required=False, allow_null=True, min_value=1, max_value=10_000, source="max_running")
