"""Waiting for a message's answer: what the server's edge waits for, and what it sends then."""

from functools import partial
from typing import Any

import orjson

from taskmaster.api.envelope import Reply, refusal, reply
from taskmaster.api.waits import Wait
from taskmaster.core.database import make_durable
from taskmaster.core.errors import AgentFailed, ApiError, InvalidState, NoAgent, NotFound
from taskmaster.core.prepared import Select, Slot

from .models import Message

_MESSAGE = Select(lambda: Message.objects.filter(pk=Slot("pk")))


def wait_for(message: Message, timeout: int, *, streams: bool = False, as_problem: bool = False) -> Wait:
    """A wait of at most `timeout` ms; `as_problem` is how the caller wants to be told of a failure."""
    pk = message.pk
    return Wait(
        key=f"message:{pk}",
        seconds=timeout / 1000,
        finish=partial(answer_now, pk, as_problem=as_problem),
        ended=ended,
        streams=streams,
        live_key=f"live:{pk}",
        last_event=partial(last_event, pk),
    )


def resume(pk: str) -> Wait:
    """The wait for this message again, for the repeated request of somebody who had been waiting."""
    message = Message.objects.select_related("session").get(pk=pk)
    return wait_for(message, message.session.timeout)


def _message(pk: str) -> Message:
    found = _MESSAGE.first(pk=pk)
    if found is None:  # Pruned in the meantime.
        raise NotFound()
    return found


def ended(keys: list[str]) -> set[str]:
    """Those of these keys whose message has ended."""
    ids = [key.removeprefix("message:") for key in keys]
    finished = Message.objects.filter(pk__in=ids, status__in=Message.FINISHED)
    return {f"message:{pk}" for pk in finished.values_list("pk", flat=True)}


def answer_now(pk: str, *, as_problem: bool = False) -> Reply:
    """The answer as things stand; before a caller is told to come back, the message is safe on the disk."""
    message = _message(pk)
    if message.status not in Message.FINISHED:
        make_durable()
    return answer(message, as_problem=as_problem)


def answer(message: Message, *, as_problem: bool = False) -> Reply:
    """200 with the response, 202 while there is none, or the error in which it ended."""
    if message.status == Message.COMPLETED:
        members = {"response": message.response, "messageId": message.pk, "status": message.status}
        return reply(members, location=location(message))
    if message.status in Message.FINISHED:
        return refusal(error_of(message), as_problem=as_problem)
    members = {"messageId": message.pk, "status": message.status, "response": None}
    return reply(members, 202, location=location(message))


def location(message: Message) -> str:
    """Where the message can be read."""
    return f"/api/v1/sessions/{message.session_id}/messages/{message.pk}"


def error_of(message: Message) -> ApiError:
    """Why there will be no answer."""
    details = [{"field": "status", "message": message.status}, {"field": "messageId", "message": message.pk}]
    if message.status == Message.CANCELLED:
        return InvalidState("The message was cancelled.", details=details)
    kind = NoAgent if message.error_code == NoAgent.code else AgentFailed
    return kind(message.error, details=details)


def last_event(pk: str) -> tuple[str, bytes, str] | None:
    """How a stream ends: `completed` or `failed`, the message, and its answer's text; None while more is to come."""
    message = _message(pk)
    if message.status not in Message.FINISHED:
        return None
    members: dict[str, Any] = {"messageId": pk, "status": message.status, "response": message.response, "error": None}
    if message.status == Message.COMPLETED:
        return "completed", orjson.dumps(members), (message.response or {}).get("content", "")
    error = error_of(message)
    return "failed", orjson.dumps(members | {"error": str(error), "code": error.code}), ""
