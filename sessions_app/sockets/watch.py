"""All authenticated sockets of this process: they are present, and closed once their token or session is gone."""

import asyncio
import logging
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from django.db.models import Q
from django.db.models.functions import Now

from sessions_app.live import BEAT_SECONDS
from sessions_app.models import Session
from taskmaster.orgs.models import ApiToken

from .pool import in_pool
from .presence import presence

if TYPE_CHECKING:
    from .consumer import SocketConsumer

logger = logging.getLogger(__name__)

UNAUTHENTICATED, FORBIDDEN, NORMAL = 4401, 4403, 1000
AT_ONCE = 500


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
            self._looking = asyncio.get_running_loop().create_task(self._look_for_ever())

    def leave(self, socket: "SocketConsumer") -> None:
        """It is closed (in loop)."""
        self._sockets.discard(socket)

    async def _look_for_ever(self) -> None:
        while True:
            try:
                await self.look()
            except Exception as error:
                logger.warning("sockets not looked after: %s", type(error).__name__)
            await asyncio.sleep(BEAT_SECONDS)

    async def look(self) -> None:
        """Close what may not stay."""
        sockets = list(self._sockets)
        tokens = {socket.token.pk for socket in sockets if socket.token}
        sessions = {socket.session_id for socket in sockets if socket.session_id}
        valid, suspended, open_ = await in_pool(partial(_standing, tokens, sessions))
        for socket in sockets:
            token = socket.token.pk if socket.token else ""
            if token in suspended:
                socket.end(FORBIDDEN)
            elif token not in valid:
                socket.end(UNAUTHENTICATED)
            elif socket.session_id and socket.session_id not in open_:
                socket.end(NORMAL)
        lost = await in_pool(presence.beat) if sockets else False
        if lost:
            await in_pool(partial(self._write_again, sockets))

    def _write_again(self, sockets: "Iterable[SocketConsumer]") -> None:
        """This process had been taken for dead, and its rows were cleared away."""
        for socket in sockets:
            if socket.session_id and socket in self._sockets:
                names = socket.subscription.names if socket.subscription else []
                presence.write(socket.key, socket.session_id, names)


def _standing(tokens: set[str], sessions: set[str]) -> tuple[set[str], set[str], set[str]]:
    """Of these, the valid tokens, those of suspended organizations, and the sessions that are still there."""
    good = Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=Now()))
    rows = [
        row
        for some in _parts(tokens)
        for row in ApiToken.objects.filter(good, pk__in=some).values_list("pk", "org__suspended_at")
    ]
    open_ = [
        pk
        for some in _parts(sessions)
        for pk in Session.objects.filter(pk__in=some, deleted_at=None).values_list("pk", flat=True)
    ]
    return {pk for pk, at in rows if at is None}, {pk for pk, at in rows if at is not None}, set(open_)


def _parts(ids: set[str]) -> Iterable[list[str]]:
    ordered = sorted(ids)
    return (ordered[start : start + AT_ONCE] for start in range(0, len(ordered), AT_ONCE))


watch = Watch()
