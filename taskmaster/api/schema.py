"""The OpenAPI description of our views: bodies from their serializers, answers in the envelope."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, inline_serializer
from rest_framework import serializers

# What every list takes.
PAGED = [OpenApiParameter(name, kind) for name, kind in (("limit", int), ("offset", int), ("cursor", str))]
_ENVELOPE: dict[str, Any] = {
    "success": serializers.BooleanField(),
    "error": serializers.CharField(allow_null=True),
    "timestamp": serializers.DateTimeField(),
    "requestId": serializers.CharField(),
    "data": serializers.JSONField(allow_null=True),
}


def envelope() -> OpenApiResponse:
    """The answer of every route but those that answer with a file."""
    # The metaclass of serializers empties the dictionary that it is given.
    return OpenApiResponse(inline_serializer("Envelope", dict(_ENVELOPE)))


class EnvelopeSchema(AutoSchema):
    """REST framework's views as spectacular sees them."""

    def get_request_serializer(self) -> Any:
        """The action's body."""
        action = getattr(self.view, "action", None)
        return getattr(self.view, "bodies", {}).get(action)

    def get_response_serializers(self) -> Any:
        """The envelope, for success and failure alike."""
        return {"200": envelope(), "default": envelope()}

    def get_summary(self) -> str:
        """The route: it is what one looks for."""
        return self.path.removeprefix("/api/v1")

    def get_tags(self) -> list[str]:
        """The first part of the path."""
        return [self.path.removeprefix("/api/v1/").split("/")[0]]

    def _is_list_view(self, serializer: Any = None) -> bool:
        return False
