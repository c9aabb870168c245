"""From a task to a backend's request, and from what the backend did to the task's outcome."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from taskmaster.core.subscriptions import conversation, permission_mode

from . import credentials, leases, memories
from .backends.base import Answer, Backend, BackendError, Request, Turn
from .models import Task
from .registry import Resolved
from .reporting import TaskReporter

logger = logging.getLogger(__name__)

Outcome = Callable[[], Any]


def request_for(task: Task, resolved: Resolved) -> Request:
    """What the agent is asked, with the conversation before it where the backend makes use of that."""
    backend = resolved.backend
    earlier = conversation(task.origin, task) if backend.remembers else []
    return Request(
        task_id=task.pk,
        org_id=task.org_id,
        agent_id=task.agent_id,
        type=task.type,
        content=task.description,
        session_id=task.session_id,
        is_message=task.origin == "message",
        messages=[Turn(role, content) for role, content in earlier],
        requirements=task.requirements,
        context=task.context,
        config=resolved.config,
        timeout=task.timeout,
        memory=memories.remembered(task) if backend.resumes else {},
        **_surroundings(backend, task),
    )


def _surroundings(backend: Backend, task: Task) -> dict[str, str]:
    """Where the agent works on files, and what it may do there by itself."""
    if not backend.works_in_files or not task.session_id:
        return {}
    from . import workspaces

    folder = workspaces.directory(task.org_id, task.session_id)
    return {"workspace": str(folder), "permission_mode": permission_mode(task.session_id)}


async def attempt(resolved: Resolved, task: Task, request: Request, reporter: TaskReporter) -> Outcome:
    """Run the backend, within the task's time; returns what is to be stored."""
    backend = resolved.backend
    try:
        async with asyncio.timeout(task.timeout / 1000) as reporter.clock:
            return partial(_completed, task, await backend.run(request, reporter))
    except TimeoutError:
        who = "request" if task.agent.internal else "agent"
        reason = f"The {who} did not finish within {task.timeout} ms."
        return partial(leases.fail, task, error=reason, code="timeout", backend=backend.name)
    except BackendError as error:
        return partial(_failed, task, error, resolved)
    except Exception as error:
        logger.exception("backend %s broke", backend.name)
        reason = f"The agent's backend broke: {type(error).__name__}."
        return partial(leases.fail, task, error=reason, code="agent_failed", backend=backend.name)


def put_back(task: Task) -> Outcome:
    """For a worker that ends: another one takes the task at once."""
    return partial(leases.give_back, task, after=None, error="The worker was stopped.")


def _completed(task: Task, answer: Answer) -> None:
    spoken = {"backend": answer.backend, "model": answer.model, "truncated": answer.truncated}
    result = answer.result
    if result is None:
        result = {"content": answer.content, "metadata": {**spoken, "tokensUsed": answer.tokens}}
    if answer.memory is not None:
        memories.remember(task, answer.memory)
    leases.complete(task, result=dict(result), tokens_used=answer.tokens, error=None, **spoken)


def _failed(task: Task, error: BackendError, resolved: Resolved) -> None:
    """A passing failure is tried again, a few times; a provider that takes no more is waited for; all else ends it."""
    reason, name = str(error), resolved.backend.name
    asked = timedelta(milliseconds=error.retry_after or 0)
    if error.limited:
        credentials.close(name, resolved.config, error.retry_after, reason)
        pause = max(asked, leases.RETRY_AFTER[0])
        leases.give_back(task, after=pause, error=reason, code=leases.LIMITED, tokens=error.tokens)
    elif error.transient and task.failures < len(leases.RETRY_AFTER):
        pause = max(leases.RETRY_AFTER[task.failures], asked)
        leases.give_back(task, after=pause, error=reason, code=error.code, tokens=error.tokens)
    else:
        leases.fail(task, error=reason, code=error.code, backend=name, tokens_used=error.tokens)
