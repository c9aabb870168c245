"""Templates over REST."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from taskmaster.api.envelope import Reply, reply
from taskmaster.api.paging import page_of, whole
from taskmaster.api.schema import PAGED, envelope
from taskmaster.api.views import ApiViewSet
from taskmaster.core.errors import ValidationFailed

from . import template_store
from .documents import YAML, as_yaml, checked, document_of, wants_yaml
from .serializers import TemplateIn, TemplatePut
from .shelf import BY_PLACE, Place, Shelf

MOST_VERSIONS = 2**31 - 1
_SHOWN = {200: envelope(), (200, YAML): OpenApiTypes.STR, "default": envelope()}
_VERSION = OpenApiParameter("version", int, description="The newest one unless it is given.")


class TemplateViewSet(ApiViewSet):
    """`/workflow-templates`. Bodies are JSON, or YAML under `application/yaml`."""

    # For the description; what is wrong with a whole template is said by `documents.checked`.
    bodies = {"create": TemplateIn, "update": TemplatePut}

    @extend_schema(parameters=PAGED)
    def list(self, request: Request) -> Reply:
        """The organization's own, newest first, then the built-in ones; each in its newest version."""
        return page_of(request, Shelf(self.org), name="templates", order=BY_PLACE, show=_public)

    @extend_schema(request={"application/json": TemplateIn, YAML: OpenApiTypes.STR})
    def create(self, request: Request) -> Reply:
        """A new template."""
        template = template_store.publish(self.org, **checked(document_of(request._request)))
        return reply({"template": template.shown}, 201, location=f"/api/v1/workflow-templates/{template.key}")

    @extend_schema(parameters=[_VERSION], responses=_SHOWN)
    def retrieve(self, request: Request, pk: str) -> Reply | HttpResponse:
        """One template; as YAML where the caller accepts `application/yaml`."""
        version = whole(request, "version", 0, 1, MOST_VERSIONS) or None
        template = template_store.find(self.org, pk, version)
        if wants_yaml(request._request):
            return HttpResponse(as_yaml(template), content_type=f"{YAML}; charset=utf-8")
        return reply({"template": template.shown})

    @extend_schema(request={"application/json": TemplatePut, YAML: OpenApiTypes.STR})
    def update(self, request: Request, pk: str) -> Reply:
        """A new version of one of the organization's own."""
        template_store.require_own(self.org, pk)
        document = document_of(request._request)
        if document.get("id") not in (None, pk):
            raise ValidationFailed.of("id", f"must be {pk}, as in the path, or left out")
        return reply({"template": template_store.revise(self.org, **checked(document | {"id": pk})).shown})

    def destroy(self, request: Request, pk: str) -> Reply:
        """Take one of the organization's own away; its workflows go on."""
        template_store.delete(self.org, pk)
        return reply({"message": "Template deleted"})


def _public(place: Place) -> Any:
    assert place.template is not None
    return dict(place.template.shown)
