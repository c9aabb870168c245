"""Filters of the admin's lists whose choices are known, and so need not be looked for in the table."""

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest


def by_condition(name: str, choices: Iterable[str], condition: Callable[[str], Q]) -> type[admin.SimpleListFilter]:
    """A filter called `name`; `condition` says which rows a choice leaves."""
    known = list(choices)

    class ByCondition(admin.SimpleListFilter):
        title = name.replace("_", " ")
        parameter_name = name

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            return [(choice, choice) for choice in known]

        def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
            chosen = self.value()
            return queryset.filter(condition(chosen)) if chosen in known else queryset

    return ByCondition


Deleted = by_condition("deleted", ("no", "yes"), lambda chosen: Q(deleted_at__isnull=chosen == "no"))
