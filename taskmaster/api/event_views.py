"""The event log over REST."""

import re

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from taskmaster.core.errors import ValidationFailed
from taskmaster.events.matching import UnknownTypes, matches
from taskmaster.events.models import Event

from .envelope import Reply
from .event_schema import EVENTS, NARROWED
from .paging import Order, page
from .views import ApiViewSet

IN_SEQUENCE = Order("sequence", number=True)


class EventViewSet(ApiViewSet):
    """`/events`."""

    @extend_schema(parameters=NARROWED, responses=EVENTS)
    def list(self, request: Request) -> Reply:
        """In sequence, those after `after`; `types` narrows it to some names or patterns such as `task.*`."""
        rows = Event.objects.filter(org=self.org, sequence__gt=_after(request.GET.get("after", "0")))
        if "types" in request.GET:
            rows = rows.filter(event_type__in=_types(request.GET["types"]))
        return page(request, rows, name="events", order=IN_SEQUENCE, show=Event.public)


def _after(raw: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", raw):
        raise ValidationFailed.of("after", "a sequence number")
    return int(raw)


def _types(raw: str) -> frozenset[str]:
    try:
        return matches(raw.split(",")).types
    except UnknownTypes as error:
        raise ValidationFailed.of("types", str(error)) from None
