"""How a step of each type starts: one table."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from agents_app import dispatch, routing
from agents_app.models import Agent, Task
from taskmaster.core.clock import iso, now
from taskmaster.core.errors import NoAgent

from . import approvals, items, requests, steps, timers
from .definitions.moments import read_moment
from .going import Going
from .models import Workflow, WorkflowStep
from .prompts import BadTemplate

Start = Callable[[WorkflowStep, Going], None]


def start(step: WorkflowStep, going: Going) -> None:
    """Start a step, or its next attempt. What cannot be started has failed, or is tried again where it may be."""
    try:
        _STARTS[step.type](step, going)
    except BadTemplate as bad:
        steps.fail(step, going.workflow, str(bad), code="bad_template")
    except NoAgent as error:
        steps.fail(step, going.workflow, str(error), code=error.code)


def _agent(step: WorkflowStep, going: Going) -> None:
    task = task_for(step, going, step.definition, prompt=going.variables.render(step.definition["prompt"]))
    steps.run(step, going.workflow, task_id=task.pk)
    dispatch.submit(task)


def task_for(step: WorkflowStep, going: Going, wanted: dict[str, Any], *, prompt: str) -> Task:
    """The task that an agent's step, or one item of it, is done by. Raises NoAgent."""
    workflow, named = going.workflow, wanted.get("agentId")
    capabilities = [] if named else list(wanted.get("capabilities", []))
    agent_type = wanted.get("agentType", "codegen")
    agent = _named(workflow, named) if named else going.agents.choose(agent_type, capabilities)
    return dispatch.task_for(
        agent,
        type=step.key,
        description=prompt,
        priority=wanted.get("priority") or workflow.priority_name or "normal",
        requirements=wanted.get("requirements", []),
        context=workflow.context,
        timeout=wanted.get("timeout", 1_800_000),
        pinned=bool(named),
        capabilities=capabilities,
        origin="step",
        origin_id=str(step.pk),
        workflow_id=workflow.pk,
    )


def _named(workflow: Workflow, agent_id: str) -> Agent:
    agent = Agent.objects.filter(pk=agent_id, org=workflow.org_id, deleted_at=None).first()
    if agent is None:
        raise NoAgent(f"There is no agent {agent_id}.")
    return routing.insist(agent)


def _approval(step: WorkflowStep, going: Going) -> None:
    approvals.begin(step, going.workflow, going.variables.render(step.definition.get("message") or step.name))


def _wait(step: WorkflowStep, going: Going) -> None:
    until = now() + timedelta(milliseconds=step.definition.get("duration", 0))
    if "until" in step.definition:
        until = _moment(going.variables.render(step.definition["until"]))
    if until <= now():
        steps.complete(step, going.workflow, {"until": iso(until)})
        return
    steps.wait(step, going.workflow, until=until)
    timers.wake_at(going.workflow.pk, until)


def _moment(typed: str) -> datetime:
    try:
        return read_moment(typed)
    except ValueError:
        raise BadTemplate(f"until: {typed.strip()[:100]!r} is not an ISO 8601 time with a time zone") from None


def _condition(step: WorkflowStep, going: Going) -> None:
    value = bool(going.variables.evaluate(step.definition["expression"]))
    steps.complete(step, going.workflow, {"value": value}, gate=value)


_STARTS: dict[str, Start] = {
    "agent": _agent,
    "approval": _approval,
    "wait": _wait,
    "http": requests.begin,
    "condition": _condition,
    "foreach": items.begin,
}
