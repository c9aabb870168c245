"""JSON as text: the user's key order and numbers come back as they were, which `jsonb` would not do."""

from typing import TYPE_CHECKING, Any

import orjson
from django import forms
from django.core.exceptions import ValidationError
from django.db import models

from .secret_box import seal, unseal
from .strict_json import JsonRefused, parse


class JsonFormField(forms.CharField):
    """A textarea that takes JSON."""

    widget = forms.Textarea

    def prepare_value(self, value: Any) -> Any:
        """Indented, as people read it."""
        return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()

    def clean(self, value: Any) -> Any:
        """The parsed value."""
        text = super().clean(value)
        if text in self.empty_values:
            return None
        try:
            return parse(text.encode())
        except JsonRefused as refused:
            raise ValidationError(str(refused)) from None


if TYPE_CHECKING:
    _TextField = models.TextField[Any, Any]
else:
    _TextField = models.TextField


class JsonField(_TextField):
    """Any JSON value, stored as compact text."""

    if TYPE_CHECKING:
        _pyi_private_set_type: Any
        _pyi_private_get_type: Any
        _pyi_lookup_exact_type: Any

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        """The parsed value."""
        return None if value is None else orjson.loads(self.unpack(value))

    def get_prep_value(self, value: Any) -> str | None:
        """The text. Raises TypeError for what JSON cannot say."""
        if value is None or hasattr(value, "resolve_expression"):
            return value
        return self.pack(orjson.dumps(value))

    def to_python(self, value: Any) -> Any:
        """Values are kept parsed."""
        return value

    def value_to_string(self, obj: models.Model) -> str:
        """For serialization."""
        return orjson.dumps(self.value_from_object(obj)).decode()

    def formfield(self, **kwargs: Any) -> Any:
        """The admin's field."""
        return JsonFormField(required=not self.blank, label=kwargs.get("label"))

    def pack(self, data: bytes) -> str:
        """Bytes of JSON as the column's text."""
        return data.decode()

    def unpack(self, text: str) -> bytes:
        """The column's text as bytes of JSON."""
        return text.encode()


class EncryptedJsonField(JsonField):
    """JSON that is sealed in the database."""

    def pack(self, data: bytes) -> str:
        """Sealed."""
        return seal(data)

    def unpack(self, text: str) -> bytes:
        """Unsealed."""
        return unseal(text)
