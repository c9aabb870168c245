"""Templates over REST."""

from typing import Any

from rest_framework.request import Request

from taskmaster.api.envelope import Reply, reply
from taskmaster.api.views import ApiViewSet
from taskmaster.core.errors import ValidationFailed

from . import template_store
from .definitions import check_overrides, read_steps
from .serializers import TemplateIn, TemplatePut
from .template_store import Template


class TemplateViewSet(ApiViewSet):
    """`/workflow-templates`."""

    bodies = {"create": TemplateIn, "update": TemplatePut}

    def list(self, request: Request) -> Reply:
        """The organization's own, newest first, then the built-in ones."""
        found = [dict(template.shown) for template in template_store.newest(self.org)]
        return reply({"templates": found})

    def create(self, request: Request) -> Reply:
        """A new template."""
        body = self.body()
        template = template_store.publish(self.org, key=body["id"], **_checked(body))
        return reply({"template": template.shown}, 201, location=f"/api/v1/workflow-templates/{template.key}")

    def retrieve(self, request: Request, pk: str) -> Reply:
        """One template, in its newest version."""
        return reply({"template": template_store.find(self.org, pk).shown})

    def update(self, request: Request, pk: str) -> Reply:
        """A new version of one of the organization's own."""
        return reply({"template": template_store.revise(self.org, key=pk, **_checked(self.body())).shown})

    def destroy(self, request: Request, pk: str) -> Reply:
        """Take one of the organization's own away; its workflows go on."""
        template_store.delete(self.org, pk)
        return reply({"message": "Template deleted"})


def _checked(body: dict[str, Any]) -> dict[str, Any]:
    steps, problems = read_steps(body["steps"])
    refuse(problems)
    return {"name": body["name"], "description": body.get("description") or "", "steps": steps}


def checked_step_data(template: Template, step_data: dict[str, Any]) -> None:
    """Refuse overrides with which the template would not be valid."""
    refuse(check_overrides(template.steps, step_data))


def refuse(problems: list[dict[str, str]]) -> None:
    """Raise ValidationFailed for what is wrong, if anything is."""
    if problems:
        first = problems[0]
        raise ValidationFailed(f"{first['field']}: {first['message']}", details=problems)
