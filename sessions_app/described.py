"""What the OpenAPI description says of sessions and messages beside their bodies."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from agents_app.models import AGENT_TYPES
from taskmaster.api.schema import envelope

from .models import Message, Session

_PAGED = [
    OpenApiParameter("limit", int),
    OpenApiParameter("offset", int),
    OpenApiParameter("cursor", str),
]
# What the lists take.
SESSIONS = [
    OpenApiParameter("status", str, enum=[Session.ACTIVE, Session.EXPIRED]),
    OpenApiParameter("agentType", str, enum=[*AGENT_TYPES]),
    *_PAGED,
]
MESSAGES = [OpenApiParameter("status", str, enum=[*Message.STATUSES]), *_PAGED]

# What a new message takes and answers; an `Accept` of text/event-stream asks for the stream.
ASKED = [
    OpenApiParameter("Prefer", str, "header", description="`respond-async` answers 202 at once."),
    OpenApiParameter("Idempotency-Key", str, "header", description="Repeats say nothing twice; not for streams."),
]
ANSWERED = {
    (200, "application/json"): envelope(),
    (200, "text/event-stream"): OpenApiResponse(
        OpenApiTypes.STR, description="The answer, or blocks of `delta`, `progress` and `action`, then its end."
    ),
    202: envelope(),
    "default": envelope(),
}
