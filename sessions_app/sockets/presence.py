"""Which sockets are open, for everybody to see; those of a process that was killed are not counted."""

import logging
import os
import socket
import threading
from collections.abc import Iterable
from datetime import timedelta

from django.db.models import QuerySet
from django.db.models.functions import Now

from sessions_app.models import LiveServer, LiveSocket

logger = logging.getLogger(__name__)

FORGOTTEN_SECONDS = 60.0

# The session, and the names that it is subscribed to.
Seen = tuple[str, list[str]]


class Presence:
    """This process's sockets, and their rows. The rows follow: a write that fails is made up for with the next beat."""

    def __init__(self) -> None:
        self._sockets: dict[str, Seen] = {}
        self._server: LiveServer | None = None
        self._making = threading.Lock()
        self._doubtful = False

    def opened(self, key: str, session_id: str, names: Iterable[str] = ()) -> None:
        """A socket of this session is open, and subscribed to these (in loop; `store` it then)."""
        self._sockets[key] = session_id, list(names)

    def closed(self, key: str) -> None:
        """It is closed (in loop; `store` it then)."""
        self._sockets.pop(key, None)

    def store(self, key: str) -> None:
        """Write down what has become of a socket."""
        try:
            self._store(key, self._sockets.get(key))
        except Exception as error:
            self._doubt(error)

    def beat(self) -> None:
        """This process lives, and has these sockets; processes that are long gone are cleared away."""
        living = LiveServer.objects.filter(pk=self._living().pk).update(beat_at=Now())
        if not living:
            self._server = None  # We were taken for dead ourselves, and our rows went with it.
        LiveServer.objects.filter(beat_at__lt=Now() - timedelta(seconds=FORGOTTEN_SECONDS)).delete()
        if self._doubtful or not living or self._rows().count() != len(self._sockets):
            self._doubtful = False
            self._mend()

    def end(self) -> None:
        """The process ends, and with it all its sockets."""
        try:
            LiveServer.objects.filter(pk=self._server and self._server.pk).delete()
        except Exception as error:
            self._doubt(error)  # Without a beat nobody counts them.

    def _mend(self) -> None:
        """Make the rows what they should be."""
        stored = {key: (session, names) for key, session, names in self._rows().values_list("pk", "session", "names")}
        now = dict(self._sockets)
        for key in stored.keys() | now.keys():
            if stored.get(key) != now.get(key):
                self.store(key)

    def _store(self, key: str, seen: Seen | None) -> None:
        if seen is None:
            LiveSocket.objects.filter(pk=key).delete()
        else:
            values = {"server": self._living(), "session_id": seen[0], "names": seen[1]}
            LiveSocket.objects.update_or_create(pk=key, defaults=values)

    def _doubt(self, error: Exception) -> None:
        self._doubtful = True
        logger.warning("sockets not written down: %s", type(error).__name__)

    def _rows(self) -> QuerySet[LiveSocket]:
        return LiveSocket.objects.filter(server=self._living())

    def _living(self) -> LiveServer:
        with self._making:
            if self._server is None:
                self._server = LiveServer.objects.create(host=socket.gethostname(), pid=os.getpid(), beat_at=Now())
            return self._server


presence = Presence()
