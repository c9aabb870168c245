"""JSON as text: the user's key order and numbers come back as they were, which `jsonb` would not do."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.fields.mixins import CheckFieldDefaultMixin
from django.db.models.query_utils import DeferredAttribute
from django.forms.fields import InvalidJSONInput

from .secret_box import SecretUnreadable, seal, unseal
from .strict_json import JsonRefused, parse


class JsonFormField(forms.JSONField):
    """A textarea that takes JSON, as strictly as the API does."""

    def to_python(self, value: Any) -> Any:
        """The parsed value; None where nothing was typed."""
        if not isinstance(value, str):
            return value
        if not value.strip():
            return None
        try:
            return parse(value.encode(errors="surrogatepass"))
        except JsonRefused as refused:
            raise ValidationError(f"This is not valid JSON: {refused}.", code="invalid") from None

    def validate(self, value: Any) -> None:
        """`{}` and `[]` are something."""
        if value is None:
            super().validate(value)

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What was typed, as it was typed, so that a refused text can be mended."""
        return initial if self.disabled else data and InvalidJSONInput(data)

    def prepare_value(self, value: Any) -> Any:
        """Indented, as people read it."""
        if value is None or isinstance(value, InvalidJSONInput):
            return value
        return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


if TYPE_CHECKING:
    _TextField = models.TextField[Any, Any]
else:
    _TextField = models.TextField


class JsonField(CheckFieldDefaultMixin, _TextField):
    """Any JSON value, stored as compact text; None is NULL. NaN and infinity, which JSON lacks, are stored as null."""

    _default_hint = ("dict", "{}")
    empty_strings_allowed = False
    empty_values = [None]

    if TYPE_CHECKING:
        _pyi_private_set_type: Any
        _pyi_private_get_type: Any
        _pyi_lookup_exact_type: Any

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        """The parsed value."""
        return None if value is None else orjson.loads(value)

    def get_prep_value(self, value: Any) -> Any:
        """The text. Raises TypeError for what JSON cannot say, such as keys that are not strings."""
        if value is None or hasattr(value, "resolve_expression"):
            return value
        return self.pack(orjson.dumps(value))

    def to_python(self, value: Any) -> Any:
        """Values are kept parsed."""
        return value

    def value_to_string(self, obj: models.Model) -> Any:
        """For `dumpdata`: the value itself, which `loaddata` gives to `to_python`."""
        return self.value_from_object(obj)

    def save_form_data(self, instance: models.Model, data: Any) -> None:
        """An emptied textarea is NULL, or the default where there is no NULL."""
        super().save_form_data(instance, self.get_default() if data is None and not self.null else data)

    def formfield(self, **kwargs: Any) -> Any:
        """The admin's field."""
        return super().formfield(**{"form_class": JsonFormField, **kwargs})

    def pack(self, data: bytes) -> str:
        """Bytes of JSON as the column's text."""
        return data.decode()


SEALED = "sealed:"
# Nothing is in it to be hidden, and so it outlives a lost key.
EMPTY = "{}"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A value as the database has it."""

    text: str

    def open(self) -> Any:
        """The value. Raises SecretUnreadable."""
        return orjson.loads(self.text if self.text == EMPTY else unseal(self.text))


class SealedAttribute(DeferredAttribute):
    """A model's attribute that is opened when it is first read, so that a row whose secret is lost can be loaded."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        """The value. Raises SecretUnreadable."""
        value = super().__get__(instance, cls)
        if isinstance(value, Sealed):
            value = instance.__dict__[self.field.attname] = value.open()
        return value

    def __set__(self, instance: models.Model, value: Any) -> None:
        """Another value, or a sealed one that comes from the database."""
        instance.__dict__[self.field.attname] = value


class EncryptedJsonField(JsonField):
    """JSON that is sealed in the database and in dumps of it; an instance opens it at the first use.

    It can be filtered by `isnull` alone, and `values()` gives it `Sealed`.
    """

    descriptor_class = SealedAttribute

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Sealed | None:
        """Still sealed."""
        return None if value is None else Sealed(value)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """What was never opened is written as it was."""
        value = model_instance.__dict__.get(self.attname)
        return value if isinstance(value, Sealed) else super().pre_save(model_instance, add)

    def get_prep_value(self, value: Any) -> Any:
        """The text. Raises TypeError for what JSON cannot say."""
        return value.text if isinstance(value, Sealed) else super().get_prep_value(value)

    def pack(self, data: bytes) -> str:
        """Sealed."""
        return EMPTY if data == EMPTY.encode() else seal(data)

    def get_lookup(self, lookup_name: str) -> Any:
        """Sealing gives another text each time, so that a comparison would never find anything."""
        return super().get_lookup(lookup_name) if lookup_name == "isnull" else None

    def value_to_string(self, obj: models.Model) -> Any:
        """Sealed in dumps, too."""
        value = self.value_from_object(obj)
        return value if value is None else SEALED + self.get_prep_value(value)

    def to_python(self, value: Any) -> Any:
        """Values are kept parsed; one from a dump is unsealed."""
        if not (isinstance(value, str) and value.startswith(SEALED)):
            return value
        try:
            return Sealed(value.removeprefix(SEALED)).open()
        except SecretUnreadable as unreadable:
            raise ValidationError(str(unreadable)) from None
