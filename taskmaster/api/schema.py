"""The OpenAPI description of our views: bodies from their serializers, answers in the envelope."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiResponse, inline_serializer
from rest_framework import serializers

_ENVELOPE: dict[str, Any] = {
    "success": serializers.BooleanField(),
    "error": serializers.CharField(allow_null=True),
    "timestamp": serializers.DateTimeField(),
    "requestId": serializers.CharField(),
    "data": serializers.JSONField(allow_null=True),
}


class EnvelopeSchema(AutoSchema):
    """REST framework's views as spectacular sees them."""

    def get_request_serializer(self) -> Any:
        """The action's body."""
        action = getattr(self.view, "action", None)
        return getattr(self.view, "bodies", {}).get(action)

    def get_response_serializers(self) -> Any:
        """The envelope, for success and failure alike."""
        envelope = inline_serializer("Envelope", _ENVELOPE)
        return {"200": OpenApiResponse(envelope), "default": OpenApiResponse(envelope)}

    def get_tags(self) -> list[str]:
        """The first part of the path."""
        return [self.path.removeprefix("/api/v1/").split("/")[0]]

    def _is_list_view(self, serializer: Any = None) -> bool:
        return False
