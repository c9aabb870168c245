"""From a task to a backend's request, and from what the backend did to the task's outcome."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from taskmaster.core.subscriptions import conversation

from . import leases
from .backends.base import Answer, Backend, BackendError, Reporter, Request, Turn
from .models import Task

logger = logging.getLogger(__name__)

Outcome = Callable[[], Any]


def request_for(task: Task, backend: Backend) -> Request:
    """What the agent is asked, with the conversation before it where the backend makes use of that."""
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
        config=task.agent.config,
        timeout=task.timeout,
    )


async def attempt(backend: Backend, task: Task, request: Request, reporter: Reporter) -> Outcome:
    """Run the backend, within the task's time; returns what is to be stored."""
    try:
        async with asyncio.timeout(task.timeout / 1000):
            return partial(_completed, task, await backend.run(request, reporter))
    except TimeoutError:
        reason = f"The agent did not finish within {task.timeout} ms."
        return partial(leases.fail, task, error=reason, code="timeout", backend=backend.name)
    except BackendError as error:
        return partial(_failed, task, error, backend.name)
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
    leases.complete(task, result=dict(result), tokens_used=answer.tokens, error=None, **spoken)


def _failed(task: Task, error: BackendError, backend: str) -> None:
    """A passing failure is tried again, a few times; any other is the end."""
    if error.transient and task.failures < len(leases.RETRY_AFTER):
        asked = timedelta(milliseconds=error.retry_after or 0)
        leases.give_back(task, after=max(leases.RETRY_AFTER[task.failures], asked), error=str(error))
    else:
        leases.fail(task, error=str(error), code=error.code, backend=backend)
