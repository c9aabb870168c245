"""The words in which the catalogue says what an event's data holds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One member of an object: what it means, the JSON Schema of its values, one of them."""

    meaning: str
    schema: Schema
    example: Any
    required: bool = True

    def optional(self) -> "Field":
        """The same, which may be missing."""
        return replace(self, required=False)

    def nullable(self) -> "Field":
        """The same, which may be null."""
        both: Schema = {"type": [self.schema["type"], "null"]}
        if "enum" in self.schema:
            both["enum"] = [*self.schema["enum"], None]
        return replace(self, schema=self.schema | both)

    def described(self) -> Schema:
        """Its JSON Schema with its meaning."""
        return {"description": self.meaning, **self.schema, "examples": [self.example]}


Fields = Mapping[str, Field]


def text(meaning: str, example: str) -> Field:
    """A string."""
    return Field(meaning, {"type": "string"}, example)


def one_of(meaning: str, *values: str) -> Field:
    """One of these strings."""
    return Field(meaning, {"type": "string", "enum": list(values)}, values[0])


def moment(meaning: str) -> Field:
    """A time, ISO 8601 in UTC."""
    return Field(meaning, {"type": "string", "format": "date-time"}, "2024-01-01T00:00:00.000Z")


def whole(meaning: str, example: int) -> Field:
    """A whole number, not negative."""
    return Field(meaning, {"type": "integer", "minimum": 0}, example)


def fraction(meaning: str, example: float) -> Field:
    """A number from 0 to 1."""
    return Field(meaning, {"type": "number", "minimum": 0, "maximum": 1}, example)


def flag(meaning: str) -> Field:
    """True or false."""
    return Field(meaning, {"type": "boolean"}, False)


def free(meaning: str, example: dict[str, Any]) -> Field:
    """An object with whatever its author put into it."""
    return Field(meaning, {"type": "object"}, example)


def anything(meaning: str, example: Any) -> Field:
    """Any JSON value."""
    return Field(meaning, {}, example)


def group(meaning: str, members: Fields, *, closed: bool = True) -> Field:
    """An object with these members, and no others if it is closed."""
    return Field(meaning, shape(members, closed=closed), example_of(members))


def shape(members: Fields, *, closed: bool = True) -> Schema:
    """The JSON Schema of an object with these members."""
    schema: Schema = {"type": "object", "properties": {name: field.described() for name, field in members.items()}}
    schema["required"] = [name for name, field in members.items() if field.required]
    return schema | ({"additionalProperties": False} if closed else {})


def example_of(members: Fields) -> dict[str, Any]:
    """An object with those of these members that are always there."""
    return {name: field.example for name, field in members.items() if field.required}
