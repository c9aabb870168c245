"""`http` steps: a task of an agent that every organization has for that and nobody sees."""

from typing import Any

import orjson

from agents_app import dispatch
from agents_app.registry import requester

from . import steps
from .definitions.texts import HEADER_VALUE
from .going import Going
from .models import WorkflowStep
from .prompts import BadTemplate

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
TIMEOUT_MS = 30_000


def begin(step: WorkflowStep, going: Going) -> None:
    """Send what the step says."""
    wanted, workflow, variables = step.definition, going.workflow, going.variables
    method = str(wanted.get("method", "GET")).upper()
    if method not in METHODS:
        raise BadTemplate(f"method: one of {', '.join(METHODS)}")
    body = wanted.get("body")
    text = None if body is None else _text(variables.render_json(body))
    headers = {name: _header(name, variables.render(value)) for name, value in (wanted.get("headers") or {}).items()}
    if text is not None and not isinstance(body, str):
        headers = {"Content-Type": "application/json"} | headers
    request = {"method": method, "url": variables.render(wanted["url"]).strip(), "headers": headers, "body": text}
    task = dispatch.task_for(
        requester(workflow.org_id),
        type=step.key,
        description=f"{method} {request['url']}",
        priority=workflow.priority_name or "normal",
        context={"request": request | {"expect": wanted.get("expect")}},
        timeout=wanted.get("timeout", TIMEOUT_MS),
        origin="step",
        origin_id=str(step.pk),
        workflow_id=workflow.pk,
    )
    steps.run(step, workflow, task_id=task.pk)
    dispatch.submit(task)


def _header(name: str, value: str) -> str:
    if not HEADER_VALUE.fullmatch(value):
        raise BadTemplate(f"headers.{name}: may not have line breaks or control characters")
    return value


def _text(body: Any) -> str:
    return body if isinstance(body, str) else orjson.dumps(body).decode()
