"""Events in the OpenAPI description: `Event` is one of the types of the catalogue, told apart by its `eventType`."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from taskmaster.events.catalogue import CATALOGUE, EventType

from .following import ABOUT
from .schema import envelope

_REF = "#/components/schemas/"
_PAGINATION = {
    "type": "object",
    "properties": {
        "total": {"type": "integer"},
        "totalCapped": {"type": "boolean"},
        "limit": {"type": "integer"},
        "offset": {"type": "integer"},
        "hasMore": {"type": "boolean"},
        "nextCursor": {"type": ["string", "null"]},
    },
    "required": ["total", "limit", "offset", "hasMore", "nextCursor"],
}
_PAGE = {
    "type": "object",
    "properties": {"events": {"type": "array", "items": {"$ref": f"{_REF}Event"}}, "pagination": _PAGINATION},
    "required": ["events", "pagination"],
}

_AFTER = OpenApiParameter("after", int, description="Only the events after this sequence.")
_TYPES = OpenApiParameter("types", str, description="Only these: names and patterns such as `task.*`, with commas.")

# What `GET /events` takes, and what it answers.
NARROWED = [
    _AFTER,
    _TYPES,
    OpenApiParameter("limit", int),
    OpenApiParameter("offset", int),
    OpenApiParameter("cursor", str),
]
EVENTS = {
    200: OpenApiResponse({"allOf": [{"$ref": f"{_REF}Envelope"}, _PAGE]}),
    "default": envelope(),
}

# What `GET /events/{id}` answers.
_ONE = {"type": "object", "properties": {"event": {"$ref": f"{_REF}Event"}}, "required": ["event"]}
EVENT = {
    200: OpenApiResponse({"allOf": [{"$ref": f"{_REF}Envelope"}, _ONE]}),
    "default": envelope(),
}

# The same of `GET /events/stream`.
FOLLOWED = [
    OpenApiParameter("Last-Event-ID", int, "header", description="The last id that was read; it wins over `after`."),
    _AFTER,
    _TYPES,
    *(OpenApiParameter(name, str, description="Only the events about this one.") for name in ABOUT),
]
STREAM = {
    (200, "text/event-stream"): OpenApiResponse(
        OpenApiTypes.STR, description="Blocks of `id` (the sequence), `event` (its type) and `data` (an Event)."
    ),
    "default": envelope(),
}


def add_event_types(result: dict[str, Any], **about: Any) -> dict[str, Any]:
    """The description with a schema for each type of event, and `Event` for any of them."""
    stored = {_component(kind): kind for kind in CATALOGUE.values() if not kind.live}
    schemas = {name: _schema(kind) for name, kind in stored.items()}
    result["components"]["schemas"] |= schemas | {
        "Event": {
            "description": "Something that happened.",
            "oneOf": [{"$ref": f"{_REF}{name}"} for name in stored],
            "discriminator": {
                "propertyName": "eventType",
                "mapping": {kind.name: f"{_REF}{name}" for name, kind in stored.items()},
            },
        }
    }
    return result


def _component(kind: EventType) -> str:
    """`task.completed` is described as TaskCompletedEvent."""
    return kind.name.title().replace(".", "") + "Event"


def _schema(kind: EventType) -> dict[str, Any]:
    members = {
        "id": {"type": "string"},
        "eventType": {"type": "string", "const": kind.name},
        "sequence": {"type": "integer"},
        "timestamp": {"type": "string", "format": "date-time"},
        "data": kind.schema(),
    }
    return {"type": "object", "description": kind.meaning, "properties": members, "required": list(members)}
