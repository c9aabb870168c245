"""Organizations and tokens in the admin: everything an operator does with them goes through their services."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Count, IntegerField, Model, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from taskmaster.core.clock import now

from .forms import OrganizationForm, TokenForm
from .list_filters import by_condition
from .models import ApiToken, Organization
from .operator_admin import OperatorAdmin
from .organizations import create_organization, restore, suspend
from .tokens import issue_token, revoke_token

admin.site.site_header = admin.site.site_title = "Task Master"
admin.site.index_title = "Operations"
admin.site.site_url = "/docs"

NOT_EXPIRED = Q(expires_at=None) | Q(expires_at__gt=Now())
STATUSES = {
    "valid": Q(revoked_at=None) & NOT_EXPIRED,
    "revoked": Q(revoked_at__isnull=False),
    "expired": Q(revoked_at=None, expires_at__lte=Now()),
}
VALID_TOKEN = Q(tokens__revoked_at=None) & (Q(tokens__expires_at=None) | Q(tokens__expires_at__gt=Now()))
LIVE_AGENT = Q(agents__deleted_at=None)
LIMITS = ("rate_limit", "token_budget", "max_running")


@admin.register(Organization)
class OrganizationAdmin(OperatorAdmin):
    """Organizations: create, rename, limit, suspend, restore."""

    form = OrganizationForm
    fields = ("id", "slug", "name", *LIMITS, "suspended_at", "created_at")
    list_display = ("slug", "name", "status", "valid_tokens", "agents", "rate_limit", "created_at")
    list_filter = (by_condition("status", ("active", "suspended"), lambda s: Q(suspended_at__isnull=s == "active")),)
    search_fields = ("=id", "slug", "name")
    search_help_text = "An id, or a part of a slug or a name."
    ordering = ("slug",)
    actions = ("suspend", "restore")
    # What the floors above tell of an organization, each a callable that is given it.
    shown_besides: ClassVar[list[Any]] = []

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Organization]":
        """With the two numbers of the list, counted for the rows of its page alone."""
        orgs: QuerySet[Organization] = super().get_queryset(request)
        return orgs.annotate(token_count=_count("tokens", VALID_TOKEN), agent_count=_count("agents", LIVE_AGENT))

    def get_readonly_fields(self, request: HttpRequest, obj: Organization | None = None) -> tuple[Any, ...]:
        """A slug stays what it was made as."""
        return ("id", "suspended_at", "created_at", *(("slug", *self.shown_besides) if obj else ()))

    def get_fields(self, request: HttpRequest, obj: Organization | None = None) -> tuple[Any, ...]:
        """A new one has nothing to show yet."""
        return (*self.fields, *self.shown_besides) if obj else ("slug", "name", *LIMITS)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """A new one is made by the service, so that it gets what every new one gets."""
        if change:
            return super().save_model(request, obj, form, change)
        limits = {name: getattr(obj, name) for name in LIMITS}
        _become(obj, create_organization(slug=obj.slug, name=obj.name))
        for name, value in limits.items():
            setattr(obj, name, value)
        obj.save(update_fields=LIMITS)
        return None

    @admin.display(description="status")
    def status(self, org: Organization) -> str:
        """active, or suspended: its tokens are refused."""
        return "suspended" if org.is_suspended else "active"

    @admin.display(description="valid tokens")
    def valid_tokens(self, org: Any) -> int:
        """How many could be used now."""
        return int(org.token_count)

    @admin.display(description="agents")
    def agents(self, org: Any) -> int:
        """How many are in service."""
        return int(org.agent_count)

    @admin.action(description="Suspend: refuse every token", permissions=["change"])
    def suspend(self, request: HttpRequest, queryset: "QuerySet[Organization]") -> None:
        """Refuse their tokens."""
        self.apply(request, queryset.filter(suspended_at=None), verb=suspend, done="Suspended")

    @admin.action(description="Restore: take their tokens again", permissions=["change"])
    def restore(self, request: HttpRequest, queryset: "QuerySet[Organization]") -> None:
        """Take their tokens again."""
        self.apply(request, queryset.exclude(suspended_at=None), verb=restore, done="Restored")


@admin.register(ApiToken)
class ApiTokenAdmin(OperatorAdmin):
    """Tokens: issue, limit, revoke, expire. A secret is in the answer to the form that made it, and nowhere else."""

    form = TokenForm
    autocomplete_fields = ("org",)
    list_display = ("name", "org", "last_four", "status", "allowed", "rate_limit", "expires_at", "last_used_at")
    list_filter = (by_condition("status", STATUSES, STATUSES.__getitem__),)
    list_select_related = ("org",)
    search_fields = ("=id", "name", "=org__slug", "=last_four")
    search_help_text = "An id, a part of a name, an organization's slug, or the last four characters."
    ordering = ("-id",)
    actions = ("revoke", "expire")

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> tuple[str, ...]:
        """A new one has nothing to show yet."""
        if obj is None:
            return ("org", "name", "scopes", "expires_at", "rate_limit")
        scopes = "scopes" if self.has_change_permission(request, obj) else "allowed"
        return ("id", "org", "name", scopes, "expires_at", "rate_limit", *self.get_readonly_fields(request, obj)[2:])

    def get_readonly_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> tuple[str, ...]:
        """What a token was made as, and what happened to it."""
        return ("id", "org", "status", "last_four", "last_used_at", "revoked_at", "created_at") if obj else ()

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Whatever button were pressed, the answer is the secret: there is one."""
        no_others = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, {**no_others, **(extra_context or {})})

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """A new one is issued; its secret lives as long as this request."""
        if change:
            return super().save_model(request, obj, form, change)
        wanted = {name: getattr(obj, name) for name in ("org", "name", "scopes", "expires_at", "rate_limit")}
        token, secret = issue_token(**wanted)
        _become(obj, token)
        request.issued_secret = secret  # type: ignore[attr-defined]
        return None

    def response_add(self, request: HttpRequest, obj: ApiToken, post_url_continue: str | None = None) -> HttpResponse:
        """Show the secret in the answer itself: a message for the next page would wait in a cookie."""
        more = {"opts": self.opts, "title": "Token issued", "token": obj, "secret": request.issued_secret}  # type: ignore[attr-defined]
        return TemplateResponse(
            request, "admin/orgs/apitoken/issued.html", {**self.admin_site.each_context(request), **more}
        )

    @admin.display(description="status")
    def status(self, token: ApiToken) -> str:
        """valid, revoked or expired."""
        if token.revoked_at:
            return "revoked"
        return "valid" if token.is_valid(now()) else "expired"

    @admin.display(description="scopes")
    def allowed(self, token: ApiToken) -> str:
        """Its scopes, as one line."""
        return ", ".join(token.scopes)

    @admin.action(description="Revoke", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: "QuerySet[ApiToken]") -> None:
        """End them for good."""
        self.apply(request, queryset.filter(revoked_at=None), verb=revoke_token, done="Revoked")

    @admin.action(description="Expire now", permissions=["change"])
    def expire(self, request: HttpRequest, queryset: "QuerySet[ApiToken]") -> None:
        """Let them end at this moment; a new end can be set later."""
        self.apply(request, queryset.filter(NOT_EXPIRED), verb=_expire, done="Expired")


def _expire(token: ApiToken) -> None:
    ApiToken.objects.filter(NOT_EXPIRED, pk=token.pk).update(expires_at=now())


def _count(relation: str, only: Q) -> Subquery:
    counted = Organization.objects.filter(pk=OuterRef("pk")).annotate(found=Count(relation, filter=only))
    return Subquery(counted.order_by().values("found"), output_field=IntegerField())


def _become(obj: Model, made: Model) -> None:
    """The form's unsaved object becomes the stored one."""
    obj.__dict__.update(made.__dict__)
