"""Organizations' credentials in the admin: added, rotated, deleted, and never shown."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from taskmaster.events.admin import MadeWithin, one_of
from taskmaster.orgs.operator_admin import OperatorAdmin

from . import credentials
from .credential_forms import MEMBERS, CredentialForm
from .models import PROVIDERS, Credential


@admin.register(Credential)
class CredentialAdmin(OperatorAdmin):
    """Credentials, one for each organization and provider."""

    form = CredentialForm
    autocomplete_fields = ("org",)
    list_display = ("provider", "org", "last_four", "changed_at")
    list_filter = (one_of("provider", PROVIDERS), MadeWithin)
    list_select_related = ("org",)
    search_fields = ("=id", "=org__slug", "=org__id")
    search_help_text = "The id of a credential, or an organization's id or slug."
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Credential]":
        """Without what is sealed, which is not even read."""
        return super().get_queryset(request).defer("fields")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may delete credentials."""
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Credential | None = None) -> tuple[str, ...]:
        """What a stored one is of."""
        return ("id", "org", "provider", "last_four", "created_at", "changed_at") if obj else ()

    def get_fields(self, request: HttpRequest, obj: Credential | None = None) -> tuple[str, ...]:
        """The form, and around it what does not change."""
        typed = tuple(MEMBERS) if obj is None or self.has_change_permission(request, obj) else ()
        stored = self.get_readonly_fields(request, obj)
        return (*stored, *typed) if obj else ("org", "provider", *typed)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Through the service, so that what was looked up before is forgotten."""
        made = credentials.store(org_id=obj.org_id, provider=obj.provider, fields=form.members())
        obj.__dict__.update(made.__dict__)

    def delete_model(self, request: HttpRequest, obj: Credential) -> None:
        """Through the service too."""
        credentials.delete(obj)

    def delete_queryset(self, request: HttpRequest, queryset: "QuerySet[Credential]") -> None:
        """Each of them."""
        for credential in queryset:
            credentials.delete(credential)
