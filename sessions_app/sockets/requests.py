"""What each frame of a client does: a coroutine from the socket and the frame to the answer."""

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from agents_app import actions
from agents_app.action_views import verdict_of
from agents_app.models import Action
from agents_app.serializers import ConfirmIn
from sessions_app import talking
from sessions_app.models import Session
from sessions_app.serializers import MessageIn, SignalIn
from taskmaster.core import subscriptions
from taskmaster.core.errors import BadRequest, NotFound, ValidationFailed
from taskmaster.orgs.models import ApiToken

from .frames import LONGEST_ID, Frame, ref_of
from .identity import Offer
from .pool import in_pool

if TYPE_CHECKING:
    from .consumer import SocketConsumer


async def ping(socket: "SocketConsumer", frame: Frame) -> Frame:
    """Is anybody there?"""
    return {"type": "pong", "timestamp": round(time.time() * 1000)}


async def auth(socket: "SocketConsumer", frame: Frame) -> Frame | None:
    """Who it is, for those who could not say so at the handshake."""
    if socket.token is not None:
        raise BadRequest("This socket is authenticated already.")
    secret, org_id = frame.get("token"), frame.get("orgId")
    offer = Offer(secret if isinstance(secret, str) else "", None if org_id is None else str(org_id))
    return {"type": "authenticated"} if await socket.authenticate(offer) else None


async def message(socket: "SocketConsumer", frame: Frame) -> Frame | None:
    """Say something in the socket's session; its answer follows."""
    if not socket.session_id:
        raise BadRequest("Open the socket with ?sessionId=… to send messages.")
    assert socket.token is not None
    body = checked(MessageIn, frame)
    said = await in_pool(partial(_say, socket.token, socket.session_id, body))
    # The acknowledgement first, whatever comes while it is sent.
    await socket.tell({"type": "ack", "messageId": said, **ref_of(frame)})
    if socket.sink.can_send:
        socket.answers.follow(said, ref_of(frame))
    return None


def _say(token: ApiToken, session_id: str, body: dict[str, Any]) -> str:
    session = session_of(token, session_id)
    return str(talking.post_message(session=session, content=body["content"], metadata=body.get("metadata") or {}).pk)


async def confirm(socket: "SocketConsumer", frame: Frame) -> Frame:
    """Decide an action."""
    assert socket.token is not None
    action_id, body = _id(frame, "actionId"), checked(ConfirmIn, frame)
    action = await in_pool(partial(_decide, socket.token, action_id, body))
    return {"type": "confirmed", "actionId": action.pk, "status": action.status, "action": action.public()}


def _decide(token: ApiToken, action_id: str, body: dict[str, Any]) -> Action:
    action = Action.objects.filter(pk=action_id, org=token.org_id).first()
    if action is None or body.get("session_id") not in (None, action.session_id):
        raise NotFound()
    return actions.decide(action, verdict_of(token, body))


async def signal(socket: "SocketConsumer", frame: Frame) -> Frame:
    """Decide a workflow's approval step."""
    token = socket.token
    assert token is not None
    workflow_id, body = _id(frame, "workflowId"), checked(SignalIn, frame)
    about: dict[str, Any] = {"org_id": token.org_id, "workflow_id": workflow_id, "by": f"{token.name} ({token.pk})"}
    step = await in_pool(partial(subscriptions.signal, **about, **{"data": None} | body))
    return {"type": "signalled", "workflowId": workflow_id, "step": step}


def _id(frame: Frame, name: str) -> str:
    found = frame.get(name)
    if not isinstance(found, str) or not 0 < len(found) <= LONGEST_ID:
        raise ValidationFailed.of(name, "an id")
    return found


def session_of(token: ApiToken, session_id: str) -> Session:
    """The organization's session. Raises NotFound."""
    sane = session_id.isascii() and session_id.isprintable()
    found = Session.objects.filter(pk=session_id, org=token.org_id, deleted_at=None).first() if sane else None
    if found is None:
        raise NotFound("There is no such session.")
    return found


def checked(serializer: Any, frame: Frame) -> dict[str, Any]:
    """The frame's members as the REST body of the same kind would be checked. Raises ValidationFailed."""
    return dict(serializer().run_validation(frame))
