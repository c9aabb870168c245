"""Tokens and the organization itself over REST; all of it needs the scope `admin`."""

from rest_framework.request import Request

from taskmaster.core.prepared import Select, Slot
from taskmaster.orgs.models import ApiToken, Organization
from taskmaster.orgs.tokens import issue_token, revoke_token

from .envelope import Reply, reply
from .paging import page
from .serializers import OrgPatch, TokenIn
from .views import ApiViewSet

_TOKEN = Select(lambda: ApiToken.objects.filter(pk=Slot("pk"), org=Slot("org")))


class TokenViewSet(ApiViewSet):
    """`/tokens`."""

    scopes = {"list": "admin", "create": "admin", "retrieve": "admin", "destroy": "admin"}
    bodies = {"create": TokenIn}

    def list(self, request: Request) -> Reply:
        """Newest first, the revoked ones too."""
        return page(request, ApiToken.objects.filter(org=self.org), name="tokens", show=ApiToken.public)

    def create(self, request: Request) -> Reply:
        """Make one; its secret is in this answer and nowhere else."""
        token, secret = issue_token(org=self.org, **self.body())
        members = {"token": {**token.public(), "secret": secret}}
        return reply(members, 201, location=f"/api/v1/tokens/{token.pk}")

    def retrieve(self, request: Request, pk: str) -> Reply:
        """One token, without its secret."""
        return reply({"token": self.find(_TOKEN, pk).public()})

    def destroy(self, request: Request, pk: str) -> Reply:
        """Revoke it."""
        revoke_token(self.find(_TOKEN, pk))
        return reply({"message": "Token revoked"})


class OrgViewSet(ApiViewSet):
    """`/org`."""

    scopes = {"retrieve": "admin", "partial_update": "admin"}
    bodies = {"partial_update": OrgPatch}

    def retrieve(self, request: Request) -> Reply:
        """The caller's organization."""
        return reply({"org": self.org.public()})

    def partial_update(self, request: Request) -> Reply:
        """Change its name or its limits."""
        texts = ("name", "rate_limit")
        changes = {name: (value or "") if name in texts else value for name, value in self.body().items()}
        if changes:
            Organization.objects.filter(pk=self.org.pk).update(**changes)
            self.org.refresh_from_db()
        return reply({"org": self.org.public()})
