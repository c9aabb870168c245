"""The list of all templates that an organization can use, read from the database a page at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Max

from taskmaster.api.paging import Order
from taskmaster.orgs.models import Organization

from .models import WorkflowTemplate
from .template_store import Template, built_in, of_row, own

# Rows have numbers far below.
FIRST_BUILT_IN = 2**62
BY_PLACE = Order("place", number=True)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a template stands; `row` is the number of its newest version's row, None where it is built in."""

    place: int
    row: int | None = None
    template: Template | None = None


class Shelf(Sequence[Place]):
    """Its own, those with the newest versions first, then the built-in ones. A slice has the templates too."""

    def __init__(self, org: Organization) -> None:
        newest = dict(own(org).order_by().values("key").annotate(row=Max("pk")).values_list("key", "row"))
        mine = [Place(FIRST_BUILT_IN - row, row) for row in sorted(newest.values(), reverse=True)]
        others = [template for key, template in built_in().items() if key not in newest]
        self._places = mine + [Place(FIRST_BUILT_IN + at, None, one) for at, one in enumerate(others)]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, at: Any) -> Any:
        return _filled(self._places[at]) if isinstance(at, slice) else self._places[at]


def _filled(places: list[Place]) -> list[Place]:
    wanted = [place.row for place in places if place.row is not None]
    rows = WorkflowTemplate.objects.in_bulk(wanted) if wanted else {}
    # One that was deleted a moment ago is left out.
    return [
        Place(place.place, place.row, place.template or of_row(rows[place.row or 0]))
        for place in places
        if place.template or place.row in rows
    ]
