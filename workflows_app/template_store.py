"""Templates: the built-in ones from files, an organization's own from rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from django.db import IntegrityError, transaction
from django.db.models import Max

from taskmaster.core.clock import now
from taskmaster.core.errors import Conflict, NotFound
from taskmaster.orgs.models import Organization

from .models import WorkflowTemplate

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
    found = {}
    for path in sorted(BUILT_IN.glob("*.yaml")):
        document = yaml.safe_load(path.read_text())
        shown = {
            "id": document["id"],
            "name": document["name"],
            "description": document.get("description"),
            "version": document["version"],
            "builtIn": True,
            "steps": document["steps"],
            "createdAt": None,
        }
        found[document["id"]] = Template(
            document["id"], document["version"], document["name"], document["steps"], shown
        )
    return found


def find(org: Organization, key: str) -> Template:
    """The newest version of a template that the organization can use. Raises NotFound."""
    row = own(org).filter(key=key.replace("\0", "")).order_by("-version").first()
    if row is not None:
        return of_row(row)
    if key in built_in():
        return built_in()[key]
    raise NotFound(f"There is no template {key[:64]!r}.")


def of_row(row: WorkflowTemplate) -> Template:
    """A row as a template."""
    return Template(row.key, row.version, row.name, row.steps, row.public())


def own(org: Organization) -> Any:
    """The organization's own, all versions."""
    return WorkflowTemplate.objects.filter(org=org, deleted_at=None)


def newest(org: Organization) -> list[Template]:
    """All templates that the organization can use, each in its newest version: its own first."""
    last = own(org).values("key").annotate(last=Max("version")).values_list("key", "last")
    versions = dict(last)
    rows = [row for row in own(org).filter(key__in=versions).order_by("-id") if row.version == versions[row.key]]
    return [of_row(row) for row in rows] + [t for key, t in built_in().items() if key not in versions]


def publish(org: Organization, *, key: str, name: str, description: str, steps: list[dict[str, Any]]) -> Template:
    """A new template. Raises Conflict where its id is taken."""
    if key in built_in() or own(org).filter(key=key).exists():
        raise Conflict(f"There is a template {key!r} already.")
    return _store(org, key=key, name=name, description=description, steps=steps)


def revise(org: Organization, *, key: str, name: str, description: str, steps: list[dict[str, Any]]) -> Template:
    """A new version of the organization's own template. Raises NotFound where it has none of that id."""
    if not own(org).filter(key=key).exists():
        raise NotFound(f"There is no template {key[:64]!r} of yours.")
    return _store(org, key=key, name=name, description=description, steps=steps)


def _store(org: Organization, *, key: str, **fields: Any) -> Template:
    """Deleted versions keep their numbers: a workflow that was made from one still says which."""
    last = WorkflowTemplate.objects.filter(org=org, key=key).aggregate(last=Max("version"))["last"] or 0
    try:
        with transaction.atomic():
            return of_row(WorkflowTemplate.objects.create(org=org, key=key, version=last + 1, **fields))
    except IntegrityError:
        raise Conflict("Somebody else has just changed this template.") from None


def delete(org: Organization, key: str) -> None:
    """Take the organization's own template away; workflows made from it go on. Raises NotFound."""
    if not own(org).filter(key=key.replace("\0", "")).update(deleted_at=now()):
        raise NotFound(f"There is no template {key[:64]!r} of yours.")
