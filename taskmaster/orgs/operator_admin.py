"""What every page of the admin shares on which operators change something."""

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest


class OperatorAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What operators change. Nothing is deleted here: rows that others point to are ended, and stay."""

    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        """Write what was changed, and not what somebody else did to the row meanwhile."""
        obj.save(update_fields=form.changed_data)

    @transaction.atomic
    def apply(self, request: HttpRequest, queryset: "QuerySet[Any]", *, verb: Any, done: str) -> None:
        """Do `verb` to each of them; the history says so."""
        objects = list(queryset)
        for obj in objects:
            verb(obj)
            self.log_change(request, obj, f"{done}.")
        self.message_user(request, f"{done}: {len(objects)}.")
