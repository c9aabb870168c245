"""Schedules over REST."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from taskmaster.api.envelope import Reply, reply
from taskmaster.api.paging import page
from taskmaster.api.schema import PAGED
from taskmaster.api.views import ApiViewSet
from taskmaster.core.prepared import Select, Slot

from . import schedules
from .models import Schedule
from .serializers import ScheduleIn, SchedulePatch

_SCHEDULE = Select(lambda: Schedule.objects.filter(pk=Slot("pk"), org=Slot("org")))


class ScheduleViewSet(ApiViewSet):
    """`/schedules`."""

    bodies = {"create": ScheduleIn, "partial_update": SchedulePatch}

    @extend_schema(parameters=PAGED)
    def list(self, request: Request) -> Reply:
        """Newest first."""
        return page(request, Schedule.objects.filter(org=self.org), name="schedules", show=Schedule.public)

    def create(self, request: Request) -> Reply:
        """A new schedule."""
        schedule = schedules.create(org=self.org, **self.body())
        return reply({"schedule": schedule.public()}, 201, location=f"/api/v1/schedules/{schedule.pk}")

    def retrieve(self, request: Request, pk: str) -> Reply:
        """One schedule."""
        return reply({"schedule": self.find(_SCHEDULE, pk).public()})

    def partial_update(self, request: Request, pk: str) -> Reply:
        """Change it, or switch it off and on; what was missed while it was off is not made up for."""
        schedule = self.find(_SCHEDULE, pk)
        schedules.change(schedule, self.body())
        return reply({"schedule": schedule.public()})

    def destroy(self, request: Request, pk: str) -> Reply:
        """Delete it; runs that wait for their turn are cancelled, others go on."""
        schedules.delete(self.find(_SCHEDULE, pk))
        return reply({"message": "Schedule deleted"})
