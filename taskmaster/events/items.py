"""Events as readers get them: read once, encoded once, however many are told."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from django.utils.dateparse import parse_datetime

from taskmaster.core.clock import iso
from taskmaster.core.prepared import Columns, Slot

from .models import Event, EventCursor

AT_MOST = 500

_AFTER = Columns(
    lambda: (
        Event.objects.filter(org=Slot("org"), sequence__gt=Slot("after"))
        .order_by("sequence")
        .values_list("sequence", "event_type", "id", "created_at", "data")[:AT_MOST]
    )
)


@dataclass(slots=True)
class Item:
    """One numbered event; `data` is its JSON as it is stored."""

    sequence: int
    event_type: str
    id: str
    moment: datetime
    data: str
    _about: dict[str, Any] | None = field(default=None, repr=False)
    _frame: bytes = field(default=b"", repr=False)
    # What a transport makes of it, kept so that it is made once.
    wire: bytes = field(default=b"", repr=False)

    @property
    def about(self) -> dict[str, Any]:
        """The data, parsed: only filters need it."""
        if self._about is None:
            self._about = dict(orjson.loads(self.data))
        return self._about

    @property
    def frame(self) -> bytes:
        """The event as a WebSocket frame tells it, its time in epoch milliseconds."""
        if not self._frame:
            moment = round(self.moment.timestamp() * 1000)
            self._frame = (
                f'{{"type":"event","eventType":"{self.event_type}","id":"{self.id}","sequence":{self.sequence},'
                f'"timestamp":{moment},"data":{self.data}}}'
            ).encode()
        return self._frame

    @property
    def rest(self) -> bytes:
        """The event as REST tells it, its time in ISO 8601."""
        return (
            f'{{"id":"{self.id}","eventType":"{self.event_type}","sequence":{self.sequence},'
            f'"timestamp":"{iso(self.moment)}","data":{self.data}}}'
        ).encode()


def after(org_id: str, sequence: int) -> list[Item]:
    """The organization's next events, at most AT_MOST."""
    return [
        Item(number, event_type, pk, _moment(created_at), data)
        for number, event_type, pk, created_at, data in _AFTER.all(org=org_id, after=sequence)
    ]


def last_sequence(org_id: str) -> int:
    """The sequence of the organization's newest event."""
    found = EventCursor.objects.filter(pk=org_id).values_list("last_sequence", flat=True).first()
    return found or 0


def _moment(value: Any) -> datetime:
    """SQLite gives times as text, without a zone."""
    moment = parse_datetime(value) if isinstance(value, str) else value
    assert isinstance(moment, datetime)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
