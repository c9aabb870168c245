"""What each frame of a client does: a coroutine from the socket and the frame to the answer."""

import time
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from agents_app import actions
from agents_app.action_views import verdict_of
from agents_app.models import Action
from agents_app.serializers import ConfirmIn
from sessions_app import talking
from sessions_app.models import Session
from sessions_app.serializers import MessageIn
from taskmaster.core.errors import BadRequest, NotFound, ValidationFailed
from taskmaster.events import items
from taskmaster.events.feed import feed
from taskmaster.events.matching import UnknownTypes, matches
from taskmaster.orgs.models import ApiToken

from .answers import Following
from .frames import Frame, ref_of
from .identity import Offer
from .pool import in_pool
from .presence import presence
from .subscription import FILTERS, Subscription, wish_of

if TYPE_CHECKING:
    from .consumer import SocketConsumer

MOST_NAMES = 100
LONGEST_ID = 64


async def ping(socket: "SocketConsumer", frame: Frame) -> Frame:
    """Is anybody there?"""
    return {"type": "pong", "timestamp": round(time.time() * 1000)}


async def auth(socket: "SocketConsumer", frame: Frame) -> Frame | None:
    """Who it is, for those who could not say so at the handshake."""
    if socket.token is not None:
        raise BadRequest("This socket is authenticated already.")
    secret, org_id = frame.get("token"), frame.get("orgId")
    offer = Offer(secret if isinstance(secret, str) else "", org_id if isinstance(org_id, str) else None)
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
    following = Following(said, socket.tell_soon, ref_of(frame))
    socket.follow(following)
    return None


def _say(token: ApiToken, session_id: str, body: dict[str, Any]) -> str:
    session = session_of(token, session_id)
    return str(talking.post_message(session=session, content=body["content"], metadata=body.get("metadata") or {}).pk)


async def subscribe(socket: "SocketConsumer", frame: Frame) -> Frame | None:
    """Hear of events from now on, or from a sequence on."""
    assert socket.token is not None
    names, about, since = _names(frame), _about(frame), _since(frame)
    newest = await in_pool(partial(items.last_sequence, socket.token.org_id))
    if since is not None and since > newest:
        raise ValidationFailed.of("since", f"the newest sequence is {newest}")
    try:
        wish = wish_of(names, newest if since is None else since, about)
    except UnknownTypes as error:
        raise ValidationFailed.of("events", str(error)) from None
    subscription = socket.subscription or Subscription(socket.token.org_id, socket.sink)
    feed.leave(subscription)
    try:
        subscription.add(wish)
        socket.subscription = subscription
        await _remember(socket)
        told = {"events": subscription.names, "sequence": wish.since}
        # Before the first event, and before the next frame is looked at.
        await socket.tell({"type": "subscribed", **told, **ref_of(frame)})
    finally:
        if subscription.wishes:
            feed.join(subscription, max(newest, subscription.cursor))
    return None


async def unsubscribe(socket: "SocketConsumer", frame: Frame) -> Frame:
    """Hear no more of these, or, without names, of anything."""
    try:
        types = matches(_names(frame) if "events" in frame else ["*"]).types
    except UnknownTypes as error:
        raise ValidationFailed.of("events", str(error)) from None
    subscription = socket.subscription
    if subscription is not None:
        subscription.remove(types)
        if not subscription.wishes:
            feed.leave(subscription)
        await _remember(socket)
    return {"type": "unsubscribed", "events": subscription.names if subscription else []}


async def confirm(socket: "SocketConsumer", frame: Frame) -> Frame:
    """Decide an action."""
    assert socket.token is not None
    action_id = frame.get("actionId")
    if not isinstance(action_id, str) or not 0 < len(action_id) <= LONGEST_ID:
        raise ValidationFailed.of("actionId", "an action's id")
    body = checked(ConfirmIn, frame)
    action = await in_pool(partial(_decide, socket.token, action_id, body))
    return {"type": "confirmed", "actionId": action.pk, "status": action.status, "action": action.public()}


def _decide(token: ApiToken, action_id: str, body: dict[str, Any]) -> Action:
    action = Action.objects.filter(pk=action_id.replace("\0", ""), org=token.org_id).first()
    if action is None or body.get("session_id") not in (None, action.session_id):
        raise NotFound()
    return actions.decide(action, verdict_of(token, body))


async def signal(socket: "SocketConsumer", frame: Frame) -> Frame:
    """Decide a workflow's approval step."""
    raise NotFound("There is no such workflow.")


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


def _names(frame: Frame) -> Iterable[str]:
    names = frame.get("events")
    if not isinstance(names, list) or not names or len(names) > MOST_NAMES:
        raise ValidationFailed.of("events", f"a list of 1 to {MOST_NAMES} names or patterns")
    if not all(isinstance(name, str) for name in names):
        raise ValidationFailed.of("events", "names and patterns are strings")
    return names


def _about(frame: Frame) -> dict[str, str]:
    about = frame.get("filter") or {}
    if not isinstance(about, dict) or not all(isinstance(value, str) for value in about.values()):
        raise ValidationFailed.of("filter", f"an object with some of {', '.join(FILTERS)}")
    if unknown := set(about) - set(FILTERS):
        raise ValidationFailed.of(f"filter.{min(unknown)}", f"one of {', '.join(FILTERS)}")
    return about


def _since(frame: Frame) -> int | None:
    since = frame.get("since")
    if since is not None and (type(since) is not int or since < 0):
        raise ValidationFailed.of("since", "a sequence number")
    return since


async def _remember(socket: "SocketConsumer") -> None:
    if socket.session_id and socket.subscription:
        await in_pool(partial(presence.write, socket.key, socket.session_id, socket.subscription.names))
