"""Serializer fields that take a value of their JSON type or none: no "5" for 5, no 1 for true."""

from typing import Any

from rest_framework import serializers


class Text(serializers.CharField):
    """A string. Not stripped: it is the user's."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"trim_whitespace": False, **options})

    def to_internal_value(self, data: Any) -> str:
        """The string itself."""
        if not isinstance(data, str):
            raise serializers.ValidationError("must be a string")
        return str(super().to_internal_value(data))


class Whole(serializers.IntegerField):
    """An integer; true and 1.5 are none."""

    def to_internal_value(self, data: Any) -> int:
        """The integer itself."""
        if isinstance(data, bool) or not isinstance(data, int):
            raise serializers.ValidationError("must be a whole number")
        return data


class Fraction(serializers.FloatField):
    """A number from 0 to 1; true is none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"min_value": 0, "max_value": 1, **options})

    def to_internal_value(self, data: Any) -> float:
        """The number itself."""
        if isinstance(data, bool) or not isinstance(data, int | float):
            raise serializers.ValidationError("must be a number from 0 to 1")
        return float(data)


class Flag(serializers.BooleanField):
    """true or false."""

    def to_internal_value(self, data: Any) -> bool:
        """The boolean itself."""
        if not isinstance(data, bool):
            raise serializers.ValidationError("must be true or false")
        return data


class Choice(serializers.ChoiceField):
    """One of some strings."""

    def to_internal_value(self, data: Any) -> str:
        """The string itself."""
        if not isinstance(data, str) or data not in self.choices:
            raise serializers.ValidationError(f"must be one of {', '.join(self.choices)}")
        return data


class FreeForm(serializers.DictField):
    """The user's own object, stored and returned untouched."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """The object itself."""
        if not isinstance(data, dict):
            raise serializers.ValidationError("must be an object")
        return data

    def run_child_validation(self, data: Any) -> Any:
        """Whatever stands inside is the user's."""
        return data


class Texts(serializers.ListField):
    """A list of non-empty strings, each kept once."""

    def __init__(self, *, max_items: int = 100, each: int = 200, **options: Any) -> None:
        super().__init__(child=Text(max_length=each), max_length=max_items, **options)

    def to_internal_value(self, data: Any) -> list[str]:
        """The strings."""
        if not isinstance(data, list):
            raise serializers.ValidationError("must be a list of strings")
        return list(super().to_internal_value(data))


class Rate(Text):
    """A rate such as 1000/15m."""

    def to_internal_value(self, data: Any) -> str:
        """The rate itself."""
        from taskmaster.env import RATE

        if not isinstance(data, str) or not RATE.match(data):
            raise serializers.ValidationError("must be a rate such as 1000/15m")
        return data
