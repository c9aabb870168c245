"""How a step of each type starts: one table."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils.dateparse import parse_datetime

from agents_app import dispatch, routing
from agents_app.models import Agent, Task
from taskmaster.core.clock import iso, now
from taskmaster.core.errors import NoAgent

from . import approvals, items, requests, steps, timers
from .models import Workflow, WorkflowStep
from .prompts import BadTemplate
from .variables import Variables

Start = Callable[[WorkflowStep, Workflow, Variables], None]


def start(step: WorkflowStep, workflow: Workflow, variables: Variables) -> None:
    """Start a step, or its next attempt. What cannot be started has failed, or is tried again where it may be."""
    try:
        _STARTS[step.type](step, workflow, variables)
    except BadTemplate as bad:
        steps.fail(step, workflow, str(bad), code="bad_template")
    except NoAgent as error:
        steps.fail(step, workflow, str(error), code=error.code)


def _agent(step: WorkflowStep, workflow: Workflow, variables: Variables) -> None:
    task = task_for(step, workflow, step.definition, prompt=variables.render(step.definition["prompt"]))
    steps.run(step, workflow, task_id=task.pk)
    dispatch.submit(task)


def task_for(step: WorkflowStep, workflow: Workflow, wanted: dict[str, Any], *, prompt: str) -> Task:
    """The task that an agent's step, or one item of it, is done by. Raises NoAgent."""
    agent = _agent_for(workflow, wanted)
    return dispatch.task_for(
        agent,
        type=step.key,
        description=prompt,
        priority=wanted.get("priority") or workflow.priority_name or "normal",
        requirements=wanted.get("requirements", []),
        context=workflow.context,
        timeout=wanted.get("timeout", 1_800_000),
        pinned=bool(wanted.get("agentId")),
        capabilities=[] if wanted.get("agentId") else wanted.get("capabilities", []),
        origin="step",
        origin_id=str(step.pk),
        workflow_id=workflow.pk,
    )


def _agent_for(workflow: Workflow, wanted: dict[str, Any]) -> Agent:
    if wanted.get("agentId"):
        agent = Agent.objects.filter(pk=wanted["agentId"], org=workflow.org_id, deleted_at=None).first()
        if agent is None:
            raise NoAgent(f"There is no agent {wanted['agentId']}.")
        return routing.insist(agent)
    agent_type = wanted.get("agentType", "codegen")
    return routing.choose(
        org_id=workflow.org_id, agent_type=agent_type, capabilities=list(wanted.get("capabilities", []))
    )


def _approval(step: WorkflowStep, workflow: Workflow, variables: Variables) -> None:
    approvals.begin(step, workflow, variables.render(step.definition.get("message") or step.name))


def _wait(step: WorkflowStep, workflow: Workflow, variables: Variables) -> None:
    until = now() + timedelta(milliseconds=step.definition.get("duration", 0))
    if "until" in step.definition:
        typed = variables.render(step.definition["until"]).strip()
        parsed = parse_datetime(typed)
        if parsed is None or parsed.tzinfo is None:
            raise BadTemplate(f"until: {typed[:100]!r} is not an ISO 8601 time with a time zone")
        until = parsed
    if until <= now():
        steps.complete(step, workflow, {"until": iso(until)})
        return
    steps.wait(step, workflow, until=until)
    timers.wake_at(workflow.pk, until)


def _condition(step: WorkflowStep, workflow: Workflow, variables: Variables) -> None:
    value = bool(variables.evaluate(step.definition["expression"]))
    steps.complete(step, workflow, {"value": value}, gate=value)


_STARTS: dict[str, Start] = {
    "agent": _agent,
    "approval": _approval,
    "wait": _wait,
    "http": requests.begin,
    "condition": _condition,
    "foreach": items.begin,
}
