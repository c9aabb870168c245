"""Events as readers get them: read once, encoded once, however many are told."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db.models import Func, IntegerField
from django.utils.dateparse import parse_datetime

from taskmaster.core.clock import iso
from taskmaster.core.prepared import Columns, Slot

from .models import Event, EventCursor

AT_MOST = 500
# An event may be large, a task's result for instance: whoever reads has no more than about so much at once.
SIZE_AT_MOST = 256 * 1024


class _Bytes(Func):
    """How long a text is, about, and found out without reading it where the database can."""

    function, output_field = "OCTET_LENGTH", IntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Older ones count characters only."""
        return self.as_sql(compiler, connection, function="LENGTH", **context)


_SIZES = Columns(
    lambda: (
        Event.objects.filter(org=Slot("org"), sequence__gt=Slot("after"))
        .order_by("sequence")
        .values_list("sequence", _Bytes("data"))[:AT_MOST]
    )
)
_BETWEEN = Columns(
    lambda: (
        Event.objects.filter(org=Slot("org"), sequence__gt=Slot("after"), sequence__lte=Slot("last"))
        .order_by("sequence")
        .values_list("sequence", "event_type", "id", "created_at", "data")
    )
)


@dataclass(slots=True, eq=False)
class Item:
    """One numbered event; `data` is its JSON as it is stored."""

    sequence: int
    event_type: str
    id: str
    moment: datetime
    data: str
    _about: dict[str, Any] | None = field(default=None, repr=False)
    # What WebSockets make of it, kept so that it is made once.
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
        moment = round(self.moment.timestamp() * 1000)
        return (
            f'{{"type":"event","eventType":"{self.event_type}","id":"{self.id}","sequence":{self.sequence},'
            f'"timestamp":{moment},"data":{self.data}}}'
        ).encode()

    @property
    def rest(self) -> bytes:
        """The event as REST tells it, its time in ISO 8601."""
        return (
            f'{{"id":"{self.id}","eventType":"{self.event_type}","sequence":{self.sequence},'
            f'"timestamp":"{iso(self.moment)}","data":{self.data}}}'
        ).encode()


def after(org_id: str, sequence: int) -> list[Item]:
    """The organization's next events: at least one where there is one, at most AT_MOST or about SIZE_AT_MOST."""
    found: list[tuple[Any, ...]] = []
    # Once more where they were pruned between the two queries.
    while not found and (last := _last_that_fits(org_id, sequence)):
        found = _BETWEEN.all(org=org_id, after=sequence, last=last)
    return [Item(number, kind, pk, _moment(created_at), data) for number, kind, pk, created_at, data in found]


def _last_that_fits(org_id: str, after: int) -> int:
    """The last of the next events that are read together; 0 where there is none."""
    last = size = 0
    for sequence, more in _SIZES.each(org=org_id, after=after):
        size += more
        if last and size > SIZE_AT_MOST:
            break
        last = sequence
    return last


def last_sequence(org_id: str) -> int:
    """The sequence of the organization's newest event."""
    return last_sequences([org_id]).get(org_id, 0)


def last_sequences(org_ids: Iterable[str]) -> dict[str, int]:
    """The same of several; those without an event are missing."""
    rows = EventCursor.objects.filter(pk__in=list(org_ids))
    return dict(rows.values_list("org_id", "last_sequence"))


def _moment(value: Any) -> datetime:
    """SQLite gives times as text, without a zone."""
    moment = parse_datetime(value) if isinstance(value, str) else value
    assert isinstance(moment, datetime)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
