"""`subscribe` and `unsubscribe`."""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from taskmaster.core.errors import ValidationFailed
from taskmaster.events.catalogue import EVENT_TYPES, LIVE_TYPES
from taskmaster.events.feed import feed
from taskmaster.events.items import last_sequence
from taskmaster.events.matching import Matcher, UnknownTypes, matches

from .deltas import deltas
from .frames import LONGEST_ID, Frame, ref_of
from .pool import in_pool
from .presence import presence
from .subscription import Subscription
from .wishes import FILTERS, Wish, wanted

if TYPE_CHECKING:
    from .consumer import SocketConsumer

MOST_NAMES = 100


async def subscribe(socket: "SocketConsumer", frame: Frame) -> Frame | None:
    """Hear of events from now on, or from a sequence on."""
    assert socket.token is not None
    org_id = socket.token.org_id
    names, about, since = _wanted(frame), _about(frame), _since(frame)
    subscription = socket.subscription or Subscription(org_id, socket.sink)
    subscription.insist_on_room()
    newest = await in_pool(partial(last_sequence, org_id))
    if since is not None and since > newest:
        raise ValidationFailed.of("since", f"the newest sequence is {newest}")
    feed.leave(subscription)
    wish = Wish(names, subscription.begins_at(newest) if since is None else since, about)
    subscription.add(wish)
    socket.subscription = subscription
    try:
        await _note(socket, subscription)
        # Before the first event, and before the next frame is looked at.
        told = {"events": list(names.names), "subscriptions": subscription.names, "sequence": wish.since}
        await socket.tell({"type": "subscribed", **told, **ref_of(frame)})
    finally:
        feed.join(subscription, newest)
    if names.types & LIVE_TYPES:
        deltas.join(subscription, socket.sink)
    return None


async def unsubscribe(socket: "SocketConsumer", frame: Frame) -> Frame:
    """Hear no more of these, or, without names, of anything."""
    names = list(_names(frame)) if "events" in frame else ["*"]
    types, about = _types(names), _about(frame)
    subscription = socket.subscription
    if subscription is None:
        return {"type": "unsubscribed", "events": names, "subscriptions": []}
    subscription.remove(types, about)
    if not subscription.wishes:
        feed.leave(subscription)
        deltas.leave(subscription)
    await _note(socket, subscription)
    return {"type": "unsubscribed", "events": names, "subscriptions": subscription.names}


async def _note(socket: "SocketConsumer", subscription: Subscription) -> None:
    """The session shows what its sockets are subscribed to."""
    if socket.session_id:
        presence.opened(socket.key, socket.session_id, subscription.names)
        await in_pool(partial(presence.store, socket.key))


def _wanted(frame: Frame) -> Matcher:
    try:
        return wanted(_names(frame))
    except UnknownTypes as error:
        raise ValidationFailed.of("events", str(error)) from None


def _types(names: Iterable[str]) -> frozenset[str]:
    """What is not wanted any more; here a pattern means the live types as well."""
    try:
        return matches(names, among=EVENT_TYPES | LIVE_TYPES).types
    except UnknownTypes as error:
        raise ValidationFailed.of("events", str(error)) from None


def _names(frame: Frame) -> Iterable[str]:
    names = frame.get("events")
    if not isinstance(names, list) or not names or len(names) > MOST_NAMES:
        raise ValidationFailed.of("events", f"a list of 1 to {MOST_NAMES} names or patterns")
    if not all(isinstance(name, str) for name in names):
        raise ValidationFailed.of("events", "names and patterns are strings")
    return names


def _about(frame: Frame) -> dict[str, str]:
    about = {} if frame.get("filter") is None else frame["filter"]
    if not isinstance(about, dict):
        raise ValidationFailed.of("filter", f"an object with some of {', '.join(FILTERS)}")
    if unknown := set(about) - set(FILTERS):
        raise ValidationFailed.of(f"filter.{min(unknown)[:LONGEST_ID]}", f"one of {', '.join(FILTERS)}")
    for name, value in about.items():
        # It is kept for as long as the socket lives.
        if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID:
            raise ValidationFailed.of(f"filter.{name}", "an id")
    return about


def _since(frame: Frame) -> int | None:
    since = frame.get("since")
    if since is not None and (type(since) is not int or since < 0):
        raise ValidationFailed.of("since", "a sequence number")
    return since
