"""A type of event."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from .fields import Fields, Schema, example_of, shape


@dataclass(frozen=True, slots=True)
class EventType:
    """What it means that an event of this type comes, and what its `data` holds.

    One that is `live` goes to whoever listens at the moment; it is never stored and has no sequence.
    """

    name: str
    meaning: str
    fields: Fields
    live: bool = False

    def schema(self) -> Schema:
        """The JSON Schema of its data: these fields and no others."""
        return {"title": self.name, "description": self.meaning, **deepcopy(shape(self.fields))}

    def example(self) -> dict[str, Any]:
        """Such an event as REST tells it."""
        return {
            "id": "evt_123456789",
            "eventType": self.name,
            "sequence": 42,
            "timestamp": "2024-01-01T00:00:00.000Z",
            "data": deepcopy(example_of(self.fields)),
        }
