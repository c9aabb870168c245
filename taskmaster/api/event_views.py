"""The event log over REST."""

import re

from rest_framework.request import Request

from taskmaster.core.errors import ValidationFailed
from taskmaster.events.catalogue import EVENT_TYPES
from taskmaster.events.models import Event

from .envelope import Reply
from .paging import Order, page
from .views import ApiViewSet

IN_SEQUENCE = Order("sequence", number=True)


class EventViewSet(ApiViewSet):
    """`/events`."""

    def list(self, request: Request) -> Reply:
        """In sequence, those after `after`; `types` narrows it to some names or patterns such as `task.*`."""
        rows = Event.objects.filter(org=self.org, sequence__gt=_after(request.GET.get("after", "0")))
        if "types" in request.GET:
            rows = rows.filter(event_type__in=matching(request.GET["types"].split(",")))
        return page(request, rows, name="events", order=IN_SEQUENCE, show=Event.public)


def _after(raw: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", raw):
        raise ValidationFailed.of("after", "a sequence number")
    return int(raw)


def matching(patterns: list[str]) -> set[str]:
    """The event types that these names and patterns mean. Raises ValidationFailed for one that means none."""
    wanted: set[str] = set()
    for pattern in patterns:
        stem = pattern.removesuffix("*")
        found = {kind for kind in EVENT_TYPES if kind == pattern or (stem != pattern and _under(kind, stem))}
        if not found:
            raise ValidationFailed.of("types", f"{pattern[:64]!r} is not an event type")
        wanted |= found
    return wanted


def _under(kind: str, stem: str) -> bool:
    """`*` is under everything, `task.*` is what begins with `task.`."""
    return not stem or (stem.endswith(".") and kind.startswith(stem))
