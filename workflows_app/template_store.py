"""Where templates come from: the built-in ones from files, an organization's own from rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max, QuerySet

from taskmaster.core.clock import now
from taskmaster.core.errors import Conflict, NotFound
from taskmaster.core.prepared import Select, Slot
from taskmaster.orgs.models import Organization

from .definitions import read_template
from .models import WorkflowTemplate
from .yaml_form import from_yaml

BUILT_IN = Path(__file__).parent / "builtin"


@dataclass(frozen=True, slots=True)
class Template:
    """One version of a template, wherever it comes from; `shown` is what the API shows of it."""

    key: str
    version: int
    name: str
    steps: list[dict[str, Any]]
    shown: Mapping[str, Any]


@cache
def built_in() -> dict[str, Template]:
    """Those of this release, by id."""
    found = [_of_file(path) for path in sorted(BUILT_IN.glob("*.yaml"))]
    return {template.key: template for template in found}


def _of_file(path: Path) -> Template:
    document = from_yaml(path.read_text())
    read, problems = read_template(document)
    if problems:
        raise ValueError(f"{path.name}: {problems}")
    shown = {
        "id": read["id"],
        "name": read["name"],
        "description": read.get("description"),
        "version": document["version"],
        "builtIn": True,
        "steps": read["steps"],
        "createdAt": None,
    }
    return Template(read["id"], document["version"], read["name"], read["steps"], shown)


def of_row(row: WorkflowTemplate) -> Template:
    """A row as a template."""
    return Template(row.key, row.version, row.name, row.steps, row.public())


def find(org: Organization, key: str, version: int | None = None) -> Template:
    """A template that the organization can use, in that version or its newest. Raises NotFound.

    Its own goes before a built-in one that a later release brought under the same id.
    """
    sane = key.replace("\0", "")
    row = _NEWEST.first(org=org.pk, key=sane) if version is None else own(org).filter(key=sane, version=version).first()
    if row is not None:
        return of_row(row)
    template = built_in().get(key)
    if template is None or version not in (None, template.version):
        raise NotFound("There is no such template.")
    return template


_NEWEST = Select(
    lambda: WorkflowTemplate.objects.filter(org=Slot("org"), key=Slot("key"), deleted_at=None).order_by("-version")[:1]
)


def own(org: Organization) -> "QuerySet[WorkflowTemplate]":
    """The organization's own, all versions."""
    return WorkflowTemplate.objects.filter(org=org, deleted_at=None)


def publish(org: Organization, *, key: str, name: str, description: str, steps: list[dict[str, Any]]) -> Template:
    """A new template. Raises Conflict where its id is taken."""
    if key in built_in():
        raise Conflict(f"The built-in template {key!r} has this id; choose another one.")
    version = _next_version(org, key)
    if own(org).filter(key=key).exists():
        raise Conflict(f"There is a template {key!r} already; PUT makes a new version of it.")
    return _store(org, key=key, version=version, name=name, description=description, steps=steps)


def revise(org: Organization, *, key: str, name: str, description: str, steps: list[dict[str, Any]]) -> Template:
    """A new version of the organization's own template. Raises NotFound where it has none of that id."""
    version = _next_version(org, key)
    require_own(org, key)
    return _store(org, key=key, version=version, name=name, description=description, steps=steps)


def require_own(org: Organization, key: str) -> None:
    """Raise NotFound unless the organization has a template of its own with this id."""
    if not own(org).filter(key=key.replace("\0", "")).exists():
        raise NotFound()


def _next_version(org: Organization, key: str) -> int:
    """Looked up before anything is checked: whoever comes in between has taken it.

    Deleted versions keep their numbers, as a workflow that was made from one still says which.
    """
    last = WorkflowTemplate.objects.filter(org=org, key=key.replace("\0", "")).aggregate(last=Max("version"))["last"]
    return (last or 0) + 1


def _store(org: Organization, **fields: Any) -> Template:
    try:
        with transaction.atomic():
            return of_row(WorkflowTemplate.objects.create(org=org, **fields))
    except IntegrityError:
        raise Conflict("Somebody else has just changed this template.") from None


def delete(org: Organization, key: str) -> None:
    """Take the organization's own template away, all versions; its workflows go on. Raises NotFound."""
    if not own(org).filter(key=key.replace("\0", "")).update(deleted_at=now()):
        raise NotFound()
