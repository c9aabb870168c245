"""Templates as documents: they come in as JSON or YAML, and go out as either."""

from typing import Any

from django.http import HttpRequest

from taskmaster.api.views import read_body
from taskmaster.core.errors import BadRequest, ValidationFailed

from .definitions import read_template
from .definitions.members import INNER, Table, members_of
from .template_store import Template
from .yaml_form import BadYaml, from_yaml, to_yaml

YAML = "application/yaml"
YAML_TYPES = (YAML, "application/x-yaml", "text/yaml")
EXPORTED = ("id", "name", "description", "version", "steps")


def document_of(request: HttpRequest) -> dict[str, Any]:
    """The body, JSON or YAML. Raises BadRequest or UnsupportedMediaType."""
    if request.content_type not in YAML_TYPES:
        return read_body(request)
    try:
        document = from_yaml(request.body.decode())
    except UnicodeDecodeError:
        raise BadRequest("The body is not valid UTF-8.") from None
    except BadYaml as bad:
        raise BadRequest(f"The body is not valid YAML: {bad}") from None
    if not isinstance(document, dict):
        raise BadRequest("The body must be a YAML mapping.")
    return document


def checked(document: dict[str, Any]) -> dict[str, Any]:
    """A template's `key`, `name`, `description` and `steps`. Raises ValidationFailed with all that is wrong."""
    read, problems = read_template(document)
    refuse(problems)
    return {
        "key": read["id"],
        "name": read["name"],
        "description": read.get("description", ""),
        "steps": read["steps"],
    }


def refuse(problems: list[dict[str, str]]) -> None:
    """Raise ValidationFailed for what is wrong, if anything is."""
    if problems:
        first = problems[0]
        raise ValidationFailed(f"{first['field']}: {first['message']}", details=problems)


def wants_yaml(request: HttpRequest) -> bool:
    """Whether the caller names YAML, and before JSON."""
    accepted = [part.partition(";")[0].strip().lower() for part in request.headers.get("Accept", "").split(",")]
    named = [kind for kind in accepted if kind == "application/json" or kind in YAML_TYPES]
    return bool(named) and named[0] in YAML_TYPES


def as_yaml(template: Template) -> str:
    """The template as a document that can be taken in again; what is as it would be anyway is left out."""
    document = {name: template.shown[name] for name in EXPORTED if template.shown[name] is not None}
    return to_yaml(document | {"steps": [_short(step, members_of(step["type"])) for step in template.steps]})


def _short(step: dict[str, Any], table: Table) -> dict[str, Any]:
    told = {name: value for name, value in step.items() if name not in table or value != table[name].default}
    return told | {"step": _short(told["step"], INNER)} if isinstance(told.get("step"), dict) else told
