"""Triggers over REST."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from taskmaster.api.envelope import Reply, reply
from taskmaster.api.paging import page
from taskmaster.api.schema import PAGED
from taskmaster.api.views import ApiViewSet
from taskmaster.core.prepared import Select, Slot
from taskmaster.core.signing import standard_secret

from . import triggers
from .models import Trigger
from .serializers import TriggerIn

_TRIGGER = Select(lambda: Trigger.objects.filter(pk=Slot("pk"), org=Slot("org")))


class TriggerViewSet(ApiViewSet):
    """`/triggers`."""

    bodies = {"create": TriggerIn}

    @extend_schema(parameters=PAGED)
    def list(self, request: Request) -> Reply:
        """Newest first."""
        return page(request, Trigger.objects.filter(org=self.org), name="triggers", show=Trigger.public)

    def create(self, request: Request) -> Reply:
        """A new trigger; its secret is in this answer and nowhere else."""
        trigger, secret = triggers.create(org=self.org, **self.body())
        shown = trigger.public() | {"secret": secret, "standardSecret": standard_secret(secret)}
        return reply({"trigger": shown}, 201, location=f"/api/v1/triggers/{trigger.pk}")

    def retrieve(self, request: Request, pk: str) -> Reply:
        """One trigger, without its secret."""
        return reply({"trigger": self.find(_TRIGGER, pk).public()})

    def destroy(self, request: Request, pk: str) -> Reply:
        """Delete it; what it has started goes on."""
        triggers.delete(self.find(_TRIGGER, pk))
        return reply({"message": "Trigger deleted"})
