"""The event log in the admin, and what every read-only list there shares: it stays cheap however long the table is."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar

import orjson
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.db.models.functions import Substr
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import Truncator

from taskmaster.core.clock import now
from taskmaster.core.ids import ALPHABET, SHAPE
from taskmaster.orgs.list_filters import by_condition
from taskmaster.orgs.models import Organization

from .catalogue import EVENT_TYPES
from .models import Event

COUNTED = 10_000
EXCERPT = 80
# As the admin itself shows what is empty.
NOTHING = "-"
SPANS = {
    "1h": ("Past hour", timedelta(hours=1)),
    "24h": ("Past 24 hours", timedelta(hours=24)),
    "7d": ("Past 7 days", timedelta(days=7)),
    "30d": ("Past 30 days", timedelta(days=30)),
}


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than COUNTED rows, and shows no page beyond them."""

    @cached_property
    def count(self) -> int:
        """How many rows, at most COUNTED."""
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        return rows.order_by().values("pk")[:COUNTED].count()


class LightChangeList(ChangeList):
    """A list that leaves the long columns in the database."""

    def get_queryset(self, *args: Any, **options: Any) -> "QuerySet[Any]":
        """The rows of the list."""
        return self.model_admin.light(super().get_queryset(*args, **options))  # type: ignore[attr-defined, no-any-return]


class MadeWithin(admin.SimpleListFilter):
    """By age. It asks for a range of ids, which sort by time, since the primary key always has an index."""

    title = parameter_name = "created"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The spans."""
        return [(key, label) for key, (label, _) in SPANS.items()]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        """Those that are no older."""
        _, span = SPANS.get(self.value() or "", ("", None))
        if span is None:
            return queryset
        prefix = str(queryset.model._meta.get_field("id").get_default()).partition("_")[0]
        return queryset.filter(id__gte=first_id(prefix, now() - span))


def first_id(prefix: str, moment: datetime) -> str:
    """What no id made at that moment or later sorts before: the prefix and the milliseconds that ids begin with."""
    stamp = int(moment.timestamp() * 1000)
    return f"{prefix}_" + "".join(ALPHABET[stamp >> shift & 31] for shift in range(45, -1, -5))


def one_of(field: str, values: Iterable[str]) -> type[admin.SimpleListFilter]:
    """A filter whose choices are known, and so need not be looked for in the table."""
    return by_condition(field, values, lambda value: Q(**{field: value}))


def as_json(field: str) -> Any:
    """A column that shows a JSON field as people read it."""

    @admin.display(description=field.replace("_", " "))
    def pretty(obj: Model) -> str:
        value = getattr(obj, field)
        if value is None:
            return NOTHING
        text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
        return format_html('<pre style="margin:0;white-space:pre-wrap;overflow-wrap:anywhere">{}</pre>', text)

    return pretty


def link(model: str, pk: str | None, label: str = "") -> str:
    """A link to the admin's page of that object, such as `sessions_app_session`; NOTHING where there is no object."""
    if not pk:
        return NOTHING
    return format_html('<a href="{}">{}</a>', reverse(f"admin:{model}_change", args=[quote(pk)]), label or pk)


def link_to_list(model: str, q: str, label: str) -> str:
    """A link to the admin's list of those that a search for `q` finds."""
    return format_html('<a href="{}?q={}">{}</a>', reverse(f"admin:{model}_changelist"), q, label)


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows to look at. `searched` says by which column an id of each prefix is found; a slug means its organization.

    `long_columns` stay out of the list; of `excerpt_of` it shows the beginning. `secret_columns` are never read.
    """

    searched: ClassVar[dict[str, str]] = {}
    related: ClassVar[tuple[str, ...]] = ()
    secret_columns: ClassVar[tuple[str, ...]] = ()
    long_columns: ClassVar[tuple[str, ...]] = ()
    excerpt_of: ClassVar[str] = ""

    actions = None
    paginator = BoundedPaginator
    list_per_page = list_max_show_all = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    # Only the order of the primary key is free.
    sortable_by = ()
    ordering = ("-id",)
    search_fields = ("id",)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        """With the rows that they belong to, in one query."""
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.select_related(*self.related or (None,)).defer(*self.secret_columns)

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        """The light list."""
        return LightChangeList

    def light(self, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        """The rows as the list needs them."""
        if self.excerpt_of:
            queryset = queryset.annotate(excerpted=Substr(self.excerpt_of, 1, EXCERPT + 1))
        return queryset.defer(*self.long_columns)

    def get_search_results(
        self, request: HttpRequest, queryset: "QuerySet[Any]", search_term: str
    ) -> tuple["QuerySet[Any]", bool]:
        """One indexed lookup, where Django's own search would read the whole table."""
        term = search_term.strip()
        if not term:
            return queryset, False
        column = self.searched.get(term.partition("_")[0]) if SHAPE.match(term) else None
        if column is None:
            column, term = self.searched.get("org", ""), _org_with(term)
        return (queryset.filter(**{column: term}) if column and term else queryset.none()), False

    @admin.display(description="begins")
    def excerpt(self, obj: Any) -> str:
        """The beginning of a long text."""
        return Truncator(obj.excerpted).chars(EXCERPT)


def _org_with(slug: str) -> str:
    return Organization.objects.filter(slug=slug).values_list("pk", flat=True).first() or ""


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """What happened."""

    fields = readonly_fields = ("id", "org", "event_type", "sequence", "number", "created_at", as_json("data"))
    list_display = ("id", "org", "event_type", "sequence", "created_at", "excerpt")
    list_filter = (MadeWithin, one_of("event_type", sorted(EVENT_TYPES)))
    related = ("org",)
    long_columns = ("data",)
    excerpt_of = "data"
    searched = {"evt": "id", "org": "org_id"}
    search_help_text = "An event's id, or an organization's id or slug."
    ordering = ("-number",)
