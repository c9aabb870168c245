"""This web process: since when it runs, whether it still takes requests, how many connections it has."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable

from django.db import close_old_connections
from django.db.models.functions import Now

from .models import BEAT_SECONDS, WebServer

logger = logging.getLogger(__name__)


class Process:
    """The state that health answers are made of."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.draining = False
        self.connections: Callable[[], int] = lambda: 0
        self._row = WebServer(host=socket.gethostname(), pid=os.getpid())
        self._ended = threading.Event()

    @property
    def uptime(self) -> int:
        """Seconds since the start."""
        return int(time.monotonic() - self.started)

    def connections_with(self, servers: Iterable[WebServer]) -> int:
        """Those of this process now, and of the others as their last heartbeats tell."""
        return self.connections() + sum(server.connections for server in servers if server.pk != self._row.pk)

    def begin(self, connections: Callable[[], int]) -> None:
        """Beat from now on."""
        self.connections = connections
        threading.Thread(target=self._beat_for_ever, name="web-heartbeat", daemon=True).start()

    def drain(self) -> None:
        """No longer ready: whoever balances the load sends new requests elsewhere."""
        self.draining = True

    def end(self) -> None:
        """Gone."""
        self._ended.set()

    def _beat_for_ever(self) -> None:
        while True:
            try:
                WebServer.objects.update_or_create(
                    pk=self._row.pk,
                    defaults={"connections": self.connections(), "beat_at": Now()},
                    create_defaults={"host": self._row.host, "pid": self._row.pid, "beat_at": Now()},
                )
                if self._ended.wait(BEAT_SECONDS):
                    WebServer.objects.filter(pk=self._row.pk).delete()
                    return
            except Exception as error:
                logger.warning("heartbeat missed: %s", type(error).__name__)
                if self._ended.wait(BEAT_SECONDS):
                    return
            finally:
                close_old_connections()


process = Process()
