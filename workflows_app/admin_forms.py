"""The admin's forms of templates, schedules and triggers: what the API refuses is refused here, in the same words."""

from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminTextareaWidget, AdminTextInputWidget
from django.core.exceptions import ValidationError
from rest_framework import serializers

from taskmaster.api.exceptions import translate
from taskmaster.core.errors import ApiError, NotFound, ValidationFailed
from taskmaster.core.strict_json import JsonRefused, parse

from .documents import as_yaml, checked
from .launching import check_data
from .serializers import ScheduleIn, TriggerIn
from .template_store import built_in, find, of_row, own
from .yaml_form import BadYaml, from_yaml

# What each field is called over REST.
NAMES = {
    "name": "name",
    "template_key": "templateId",
    "workflow_data": "workflowData",
    "execution_context": "executionContext",
    "cron": "cron",
    "time_zone": "timeZone",
    "overlap": "overlap",
    "enabled": "enabled",
    "new_secret": "secret",
}


class TemplateForm(forms.ModelForm):  # type: ignore[type-arg]
    """A template as one document. Saving a stored one makes a new version of it."""

    document = forms.CharField(
        widget=AdminTextareaWidget(attrs={"rows": 32, "style": "width:100%;font-family:monospace"}),
        help_text="YAML or JSON: id, name, description, steps. Saving a stored one makes a new version of it.",
        strip=False,
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.instance.pk and "document" in self.fields:
            self.initial["document"] = as_yaml(of_row(self.instance))

    def clean(self) -> None:
        """All that is wrong is said at once."""
        super().clean()
        if self.errors:
            return
        try:
            self.template = self._read(self.cleaned_data["document"])
        except ValidationFailed as error:
            for detail in error.details or []:
                self.add_error("document", f"{detail['field']}: {detail['message']}")
        except (BadYaml, JsonRefused) as error:
            self.add_error("document", f"This cannot be read: {error}.")

    def _read(self, text: str) -> dict[str, Any]:
        document = parse(text.encode(errors="surrogatepass")) if text.lstrip().startswith("{") else from_yaml(text)
        if not isinstance(document, dict):
            raise ValidationFailed.of("document", "must be a mapping")
        stored = self.instance.key
        if stored and document.get("id") not in (None, stored):
            raise ValidationFailed.of("id", f"must be {stored}, as this is a new version of it")
        template = checked(document | ({"id": stored} if stored else {}))
        key = template["key"]
        if not stored and (key in built_in() or own(self.cleaned_data["org"]).filter(key=key).exists()):
            raise ValidationFailed.of("id", f"there is a template {key!r} already")
        return template


class StartingForm(forms.ModelForm):  # type: ignore[type-arg]
    """What starts workflows: checked as the body of the API's request would be."""

    body: type[serializers.Serializer[Any]]

    name = forms.CharField(
        required=False, max_length=200, widget=AdminTextInputWidget, help_text="Empty: the template's."
    )

    def clean(self) -> None:
        """Each problem is told at its field."""
        super().clean()
        if self.errors:
            return
        try:
            self.fields_of_service = dict(self.body().run_validation(self._body()))
            org = self.cleaned_data.get("org") or self.instance.org
            template = find(org, self.fields_of_service["template_key"])
            check_data(template, self.fields_of_service.get("workflow_data") or {})
        except NotFound:
            self.add_error("template_key", "There is no such template.")
        except (serializers.ValidationError, ApiError) as error:
            self._tell(translate(error))

    def _body(self) -> dict[str, Any]:
        named = {NAMES[field]: value for field, value in self.cleaned_data.items() if field in NAMES}
        return {name: value for name, value in named.items() if value not in ("", None)}

    def _tell(self, error: ApiError) -> None:
        fields = {name: field for field, name in NAMES.items()}
        for detail in error.details or [{"field": "", "message": str(error)}]:
            field = fields.get(detail["field"].partition(".")[0])
            said = detail["message"] if detail["field"] in fields else f"{detail['field']}: {detail['message']}"
            self.add_error(field if field in self.fields else None, ValidationError(said))


class ScheduleForm(StartingForm):
    """A schedule."""

    body = ScheduleIn

    time_zone = forms.CharField(
        initial="UTC", max_length=64, widget=AdminTextInputWidget, help_text="Its IANA name, such as Europe/Berlin."
    )


class TriggerForm(StartingForm):
    """A new trigger."""

    body = TriggerIn

    new_secret = forms.CharField(
        label="Secret",
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password", "class": "vTextField"}),
        help_text="At least 16 characters, never shown again. Empty: one is made, and shown once.",
    )
