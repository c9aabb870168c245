"""The admin's form of an agent."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from taskmaster.core.errors import ValidationFailed
from taskmaster.core.secret_box import SecretUnreadable
from taskmaster.core.strict_json import JsonRefused, parse

from . import registry


class Lines(forms.Field):
    """A list of strings, one a line."""

    widget = forms.Textarea

    def prepare_value(self, value: Any) -> Any:
        """The list as lines."""
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: str | None) -> list[str]:
        """The lines that are not empty. Raises ValidationError where the API would refuse them."""
        lines = [line.strip() for line in (value or "").splitlines() if line.strip()]
        if len(lines) > 100 or any(len(line) > 200 or "\0" in line for line in lines):
            raise ValidationError("At most 100 lines of at most 200 characters.")
        return lines


class UnseenTextarea(forms.Textarea):
    """A textarea that never shows what was typed, as a password's input does."""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        """Empty, also after a mistake in the form."""
        return super().get_context(name, None, attrs)


class AgentForm(forms.ModelForm):  # type: ignore[type-arg]
    """What an operator may change of an agent."""

    backend = forms.ChoiceField(choices=[(name, name) for name in registry.CHOICES])
    capabilities = Lines(required=False, help_text="One a line.")
    max_concurrent_tasks = forms.IntegerField(min_value=1, max_value=1000)
    default_duration = forms.IntegerField(
        min_value=1,
        max_value=86_400_000,
        help_text="Milliseconds: what a task is estimated at until there is a history.",
    )
    new_configuration = forms.CharField(
        required=False,
        widget=UnseenTextarea,
        help_text="A JSON object that takes the place of the stored one, which is never shown. Empty: unchanged.",
    )

    def clean_new_configuration(self) -> dict[str, Any] | None:
        """The object, or None for no change."""
        text = self.cleaned_data["new_configuration"]
        if not text:
            return None
        try:
            value = parse(text.encode())
        except JsonRefused as refused:
            raise ValidationError(f"This JSON cannot be taken: {refused}.") from None
        if not isinstance(value, dict):
            raise ValidationError("It must be an object.")
        return value

    def clean(self) -> None:
        """The backend must be able to run with the configuration."""
        super().clean()
        named = {"backend", "new_configuration"}
        if named <= self.cleaned_data.keys() and named & set(self.changed_data):
            try:
                registry.check_config(self.cleaned_data["backend"], self._config())
            except ValidationFailed as error:
                self.add_error("new_configuration", str(error))
            except SecretUnreadable:
                self.add_error("new_configuration", "The stored configuration cannot be read any more; give a new one.")

    def _config(self) -> dict[str, Any]:
        new = self.cleaned_data["new_configuration"]
        return dict(self.instance.config if new is None else new)

    def changes(self) -> dict[str, Any]:
        """The changed columns and their values."""
        changed = {name: self.cleaned_data[name] for name in self.changed_data}
        config = changed.pop("new_configuration", None)
        return changed if config is None else {**changed, "config": config}
