"""Triggers: made and deleted. What comes in through their hooks is `deliveries`' business."""

import base64
import os
from typing import Any

from taskmaster.core.signing import PREFIX
from taskmaster.orgs.models import Organization

from .launching import check_data
from .models import Trigger
from .template_store import find


def create(*, org: Organization, secret: str | None = None, **fields: Any) -> tuple[Trigger, str]:
    """A new trigger and its secret, which is not told again.

    Raises NotFound for its template, ValidationFailed for overrides that it does not take.
    """
    trigger = Trigger(org=org, secret=secret or new_secret(), **fields)
    template = find(org, trigger.template_key)
    check_data(template, trigger.workflow_data)
    trigger.name = trigger.name or template.name
    trigger.save(force_insert=True)
    return trigger, trigger.secret


def delete(trigger: Trigger) -> None:
    """Delete it: its hook is not found any more. What it has started goes on."""
    Trigger.objects.filter(pk=trigger.pk).delete()


def new_secret() -> str:
    """A secret in the form that the libraries of Standard Webhooks ask for."""
    return PREFIX + base64.b64encode(os.urandom(32)).decode()
