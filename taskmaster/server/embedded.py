"""The embedded mode: Daphne on the main thread, a Celery worker and beat in threads, all in one process."""

import fcntl
import sys
import threading
from pathlib import Path
from typing import IO

from celery.beat import Scheduler, Service
from django.conf import settings

from taskmaster.celery import app

WORKER_THREADS = 4


# Threads that talk to SQLite give the interpreter up at every statement; by default each waits 5 ms to get it back.
SWITCH_SECONDS = 0.0002


class Embedded:
    """The worker and beat beside the web server."""

    def __init__(self) -> None:
        sys.setswitchinterval(SWITCH_SECONDS)
        self._lock = _only_one(settings.DATA_DIR / "embedded.lock")
        self._worker = app.WorkController(
            app=app,
            pool="threads",
            concurrency=WORKER_THREADS,
            queues=["sweeps"],
            without_mingle=True,
            without_gossip=True,
            without_heartbeat=True,
            loglevel=None,
        )
        self._beat = Service(app, scheduler_cls=Scheduler, max_interval=2)

    def start(self) -> None:
        """Take back what an earlier process left, and begin."""
        from agents_app.executor import executor, recover
        from sessions_app.models import LiveServer
        from taskmaster.monitoring.models import WebServer

        recover()
        # Nobody else is alive: a process that was killed a moment ago has no sockets and no connections any more.
        LiveServer.objects.all().delete()
        WebServer.objects.all().delete()
        executor.start()
        self._threads = [
            threading.Thread(target=self._beat.start, name="celery-beat", daemon=True),
            threading.Thread(target=self._worker.start, name="celery-worker", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let what runs finish for a moment; the rest stays in its rows."""
        from agents_app.executor import executor

        self._beat.stop()
        executor.stop()
        self._worker.stop(in_sighandler=False)
        for thread in self._threads:
            thread.join(3)


def _only_one(path: Path) -> IO[str]:
    """Two embedded processes on one data folder would take each other's work back."""
    handle = path.open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(f"Task Master already runs on the data folder {path.parent}.")
    return handle
