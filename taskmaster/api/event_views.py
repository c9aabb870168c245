"""The event log over REST."""

import re

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from taskmaster.core.errors import ValidationFailed
from taskmaster.core.prepared import Select, Slot
from taskmaster.events.catalogue import EVENT_TYPES
from taskmaster.events.items import last_sequence
from taskmaster.events.matching import UnknownTypes, matches
from taskmaster.events.models import Event

from .envelope import Reply, reply
from .event_schema import EVENT, EVENTS, FOLLOWED, NARROWED, STREAM
from .following import ABOUT, Follow, FollowReply
from .paging import Order, page
from .views import MAX_ID, ApiViewSet

IN_SEQUENCE = Order("sequence", number=True)

# One that has no number yet is in no list either.
_EVENT = Select(lambda: Event.objects.filter(id=Slot("pk"), org=Slot("org"), sequence__isnull=False))


class EventViewSet(ApiViewSet):
    """`/events`."""

    @extend_schema(parameters=NARROWED, responses=EVENTS)
    def list(self, request: Request) -> Reply:
        """In sequence, those after `after`; `types` narrows it to some names or patterns such as `task.*`."""
        rows = Event.objects.filter(org=self.org, sequence__gt=_after(request.GET.get("after", "0")))
        if "types" in request.GET:
            rows = rows.filter(event_type__in=_types(request))
        return page(request, rows, name="events", order=IN_SEQUENCE, show=Event.public)

    @extend_schema(responses=EVENT)
    def retrieve(self, request: Request, pk: str) -> Reply:
        """The event that was told elsewhere under this id."""
        return reply({"event": self.find(_EVENT, pk).public()})

    @extend_schema(parameters=FOLLOWED, responses=STREAM)
    def stream(self, request: Request) -> FollowReply:
        """Server-sent events, as they come: those after `Last-Event-ID`, or after `after`, else from now on."""
        newest = last_sequence(self.token.org_id)
        follow = Follow(
            org_id=self.token.org_id,
            token_id=self.token.pk,
            types=_types(request) if "types" in request.GET else EVENT_TYPES,
            about={name: _id(name, request.GET[name]) for name in ABOUT if name in request.GET},
            after=_beginning(request, newest),
            newest=newest,
        )
        return FollowReply(follow)


def _after(raw: str, field: str = "after") -> int:
    if not re.fullmatch(r"[0-9]{1,18}", raw):
        raise ValidationFailed.of(field, "a sequence number")
    return int(raw)


def _beginning(request: Request, newest: int) -> int:
    """The sequence after which a stream begins. A client that has no last id yet may send an empty one."""
    field, raw = "Last-Event-ID", request.headers.get("Last-Event-ID", "")
    if not raw:
        field, raw = "after", request.GET.get("after", str(newest))
    after = _after(raw, field)
    if after > newest:
        raise ValidationFailed.of(field, f"the newest sequence is {newest}")
    return after


def _id(field: str, raw: str) -> str:
    if not re.fullmatch(rf"[!-~]{{1,{MAX_ID}}}", raw):
        raise ValidationFailed.of(field, "an id")
    return raw


def _types(request: Request) -> frozenset[str]:
    """Divided by commas, or given several times."""
    try:
        return matches(",".join(request.GET.getlist("types")).split(",")).types
    except UnknownTypes as error:
        raise ValidationFailed.of("types", str(error)) from None
