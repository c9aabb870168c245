"""Which sockets are open, for everybody to see; those of a process that was killed are not counted."""

import os
import socket
from collections.abc import Iterable
from datetime import timedelta

from django.db.models.functions import Now

from sessions_app.models import LiveServer, LiveSocket

FORGOTTEN_SECONDS = 60.0


class Presence:
    """This process's rows."""

    def __init__(self) -> None:
        self._server: LiveServer | None = None

    def beat(self) -> bool:
        """This process lives; the rows of those that do not are cleared away. True where ours had been, too."""
        lost = not LiveServer.objects.filter(pk=self._living().pk).update(beat_at=Now())
        if lost:
            self._server = None
        LiveServer.objects.filter(beat_at__lt=Now() - timedelta(seconds=FORGOTTEN_SECONDS)).delete()
        return lost

    def write(self, key: str, session_id: str, names: Iterable[str]) -> None:
        """A socket of this session is open and subscribed to these."""
        values = {"server": self._living(), "session_id": session_id, "names": list(names)}
        LiveSocket.objects.update_or_create(pk=key, defaults=values)

    def erase(self, key: str) -> None:
        """It is closed."""
        LiveSocket.objects.filter(pk=key).delete()

    def end(self) -> None:
        """The process ends, and with it all its sockets."""
        if self._server is not None:
            self._server.delete()
            self._server = None

    def _living(self) -> LiveServer:
        if self._server is None:
            self._server = LiveServer.objects.create(host=socket.gethostname(), pid=os.getpid(), beat_at=Now())
        return self._server


presence = Presence()

