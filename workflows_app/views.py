"""Templates and workflows over REST."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from taskmaster.api.envelope import Reply, reply
from taskmaster.api.paging import page
from taskmaster.api.schema import PAGED, envelope
from taskmaster.api.views import ApiViewSet, optional_body
from taskmaster.core.clock import iso
from taskmaster.core.errors import ValidationFailed
from taskmaster.core.prepared import Select, Slot

from . import lifecycle, picture, shown
from .estimates import estimated_duration
from .launching import limits_of, made_from
from .models import Workflow
from .serializers import RetryIn, SignalIn, StartIn, WorkflowIn
from .template_store import find
from .waiting import until_it_ends

WORKFLOW = Select(lambda: Workflow.objects.filter(pk=Slot("pk"), org=Slot("org")))
FILTERS = {
    "status": "status",
    "templateId": "template_key",
    "scheduleId": "schedule_id",
    "triggerId": "trigger_id",
}
_LISTED = [
    OpenApiParameter("status", enum=[*Workflow.STATUSES]),
    *(OpenApiParameter(name, str) for name in FILTERS if name != "status"),
    *PAGED,
]
_WAIT = OpenApiParameter(
    "Prefer", str, "header", description="`wait=<seconds>`, at most 600: answer as soon as the workflow has ended."
)
FORMATS = {"svg": "image/svg+xml", "mermaid": "text/plain"}
_GRAPH = {(200, kind): OpenApiTypes.STR for kind in FORMATS.values()} | {"default": envelope()}


class WorkflowViewSet(ApiViewSet):
    """`/workflows`."""

    bodies = {"create": WorkflowIn, "start": StartIn, "retry": RetryIn, "signal": SignalIn}

    @extend_schema(parameters=_LISTED)
    def list(self, request: Request) -> Reply:
        """Newest first; `status`, `templateId`, `scheduleId` and `triggerId` narrow it."""
        if "status" in request.GET and request.GET["status"] not in Workflow.STATUSES:
            raise ValidationFailed.of("status", f"one of {', '.join(Workflow.STATUSES)}")
        narrowed = {
            field: request.GET[name].replace("\0", "") for name, field in FILTERS.items() if name in request.GET
        }
        return page(request, Workflow.objects.filter(org=self.org, **narrowed), name="workflows", show=Workflow.public)

    def create(self, request: Request) -> Reply:
        """A new workflow of a template; it waits to be started."""
        body = self.body()
        template = find(self.org, body["template_id"])
        workflow = made_from(template, org=self.org, data=body.get("workflow_data"))
        members = {
            "workflowId": workflow.pk,
            "status": workflow.status,
            "estimatedDuration": estimated_duration(self.org.pk, template),
            "workflow": shown.whole(workflow),
        }
        return reply(members, 201, location=f"/api/v1/workflows/{workflow.pk}")

    @extend_schema(parameters=[_WAIT])
    def retrieve(self, request: Request, pk: str) -> Reply:
        """One workflow, with its steps; with `Prefer: wait=<seconds>`, as soon as it has ended."""
        return until_it_ends(self.find(WORKFLOW, pk), request._request, lambda it: reply({"workflow": shown.whole(it)}))

    @extend_schema(parameters=[_WAIT])
    def start(self, request: Request, pk: str) -> Reply:
        """Start it; with `Prefer: wait=<seconds>`, answered as soon as it has ended."""
        workflow, body = self.find(WORKFLOW, pk), self.optional_body()
        lifecycle.start(workflow, **limits_of(body.get("execution_context")))
        return until_it_ends(workflow, request._request, self._started)

    def pause(self, request: Request, pk: str) -> Reply:
        """Start no further step."""
        workflow = self._acted_on(request, pk)
        lifecycle.pause(workflow)
        return self._done(workflow, "Workflow paused", pausedAt=iso(workflow.paused_at))

    def resume(self, request: Request, pk: str) -> Reply:
        """Go on."""
        workflow = self._acted_on(request, pk)
        lifecycle.resume(workflow)
        return self._done(workflow, "Workflow resumed", resumedAt=iso(workflow.resumed_at))

    def cancel(self, request: Request, pk: str) -> Reply:
        """Call it off."""
        workflow = self._acted_on(request, pk)
        lifecycle.cancel(workflow)
        return self._done(workflow, "Workflow cancelled", cancelledAt=iso(workflow.finished_at))

    def retry(self, request: Request, pk: str) -> Reply:
        """Run a failed one again, from its failed steps or from one step on."""
        workflow, body = self.find(WORKFLOW, pk), self.optional_body()
        lifecycle.retry(workflow, body.get("from_step"))
        return self._done(workflow, "Workflow retried")

    def signal(self, request: Request, pk: str) -> Reply:
        """Decide an approval step."""
        workflow, body = self.find(WORKFLOW, pk), self.body()
        by = f"{self.token.name} ({self.token.pk})"
        step = lifecycle.signal(workflow, body["step_id"], approved=body["approved"], data=body.get("data"), by=by)
        return reply({"message": "Signal accepted", "step": step.public()})

    @extend_schema(parameters=[OpenApiParameter("format", enum=[*FORMATS])], responses=_GRAPH)
    def graph(self, request: Request, pk: str) -> HttpResponse:
        """Its picture: SVG, or with `format=mermaid` Mermaid text."""
        workflow = self.find(WORKFLOW, pk)
        wanted = request.GET.get("format", "svg")
        if wanted not in FORMATS:
            raise ValidationFailed.of("format", f"one of {', '.join(FORMATS)}")
        return HttpResponse(picture.of(workflow, wanted), content_type=f"{FORMATS[wanted]}; charset=utf-8")

    def _acted_on(self, request: Request, pk: str) -> Workflow:
        optional_body(request._request)
        return self.find(WORKFLOW, pk)

    def _started(self, workflow: Workflow) -> Reply:
        return self._done(workflow, "Workflow started", startedAt=iso(workflow.started_at))

    def _done(self, workflow: Workflow, message: str, **members: Any) -> Reply:
        return reply({"message": message, **members, "status": workflow.status, "workflowId": workflow.pk})
