"""All sockets of this process: they are present, and closed once their token or session is gone."""

import asyncio
import contextvars
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from django.db.models import Q
from django.db.models.functions import Now

from sessions_app.live import BEAT_SECONDS
from sessions_app.models import Session
from taskmaster.orgs.models import ApiToken

from .endings import FORBIDDEN, NORMAL, UNAUTHENTICATED
from .pool import in_pool
from .presence import presence

if TYPE_CHECKING:
    from .consumer import SocketConsumer

logger = logging.getLogger(__name__)

AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Standing:
    """What still holds: the scopes of the tokens that are valid, those of suspended organizations, the sessions."""

    scopes: dict[str, list[str]]
    suspended: set[str]
    sessions: set[str]

    def closes(self, token_id: str, session_id: str) -> int | None:
        """The code with which such a socket has to be closed, if any."""
        if token_id in self.suspended:
            return FORBIDDEN
        if token_id not in self.scopes:
            return UNAUTHENTICATED
        return NORMAL if session_id and session_id not in self.sessions else None


class Watch:
    """Looks every two seconds."""

    def __init__(self) -> None:
        self._sockets: set[SocketConsumer] = set()
        self._looking: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._sockets)

    def join(self, socket: "SocketConsumer") -> None:
        """Look after it (in loop)."""
        self._sockets.add(socket)
        if self._looking is None or self._looking.done():
            loop = asyncio.get_running_loop()
            self._looking = loop.create_task(self._look_for_ever(), context=contextvars.Context())

    def leave(self, socket: "SocketConsumer") -> None:
        """It is closed (in loop)."""
        self._sockets.discard(socket)

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                await self.look()
                await in_pool(presence.beat)
            except Exception as error:
                logger.warning("sockets not looked after: %s", type(error).__name__)

    async def look(self) -> None:
        """Close what may not stay; those that nobody has authenticated have a clock of their own."""
        known = [(socket, socket.token) for socket in self._sockets if socket.token]
        tokens = {token.pk for _, token in known}
        sessions = {socket.session_id for socket, _ in known if socket.session_id}
        standing = await in_pool(partial(_standing, tokens, sessions))
        for socket, token in known:
            code = standing.closes(token.pk, socket.session_id)
            if code is None:
                token.scopes = standing.scopes[token.pk]
            else:
                socket.end(code)


def _standing(tokens: set[str], sessions: set[str]) -> Standing:
    good = Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=Now()))
    rows = [
        row
        for some in _parts(tokens)
        for row in ApiToken.objects.filter(good, pk__in=some).values_list("pk", "scopes", "org__suspended_at")
    ]
    there = [
        pk
        for some in _parts(sessions)
        for pk in Session.objects.filter(pk__in=some, deleted_at=None).values_list("pk", flat=True)
    ]
    scopes = {pk: scopes for pk, scopes, _ in rows}
    return Standing(scopes, {pk for pk, _, suspended in rows if suspended}, set(there))


def _parts(ids: set[str]) -> Iterable[list[str]]:
    ordered = sorted(ids)
    return (ordered[start : start + AT_ONCE] for start in range(0, len(ordered), AT_ONCE))


watch = Watch()
