"""Runs the embedded model, or follows the process that does: one model for a data folder, however many workers."""

import logging
from collections.abc import Callable, Sequence
from threading import Event, Lock, Thread

from . import weights
from .holder import SERVER, START_AGAIN_AFTER, Fetch, Holder
from .locks import FileLock
from .notice import Notice, Told
from .settings import Endpoint, LocalModelSettings, Status

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0
OFF = Status("off", "the embedded model is switched off (TASKMASTER_LOCAL_MODEL=off)")
NOBODY: Told = (Status("starting", "no process runs the embedded model yet"), None)


class LocalModel:
    """The embedded model as one process sees it.

    After `start()` this process takes part: whoever gets the lock fetches the weights and runs the model, the others
    follow it and take over when it dies. Without `start()`, and in a forked child, it only reads what the others tell.
    All methods may be called from any thread, and none blocks but `stop()`.
    """

    def __init__(
        self, settings: LocalModelSettings, *, command: Sequence[str] = SERVER, fetch: Fetch = weights.fetch
    ) -> None:
        self.settings = settings
        self._command = command
        self._fetch = fetch
        self._lock = FileLock(settings.folder / "local.lock")
        self._notice = Notice(settings.folder / "local.json")
        self._stopping = Event()
        self._thread: Thread | None = None
        self._told = NOBODY
        self._callbacks: list[Callable[[], None]] = []
        self._guard = Lock()

    def start(self) -> None:
        """Take part, in a thread of its own. Once is enough; more is harmless."""
        if self.settings.off or self._takes_part():
            return
        self._stopping = Event()
        self._thread = Thread(target=self._run, args=(self._stopping,), name="local-model", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop taking part; the model's process, if it is ours, ends with it."""
        self._stopping.set()
        if self._thread is not None and self._takes_part():
            self._thread.join()
        self._thread = None

    def status(self) -> Status:
        """How the model is, in this process or in the one that runs it."""
        return OFF if self.settings.off else self._latest()[0]

    def endpoint(self) -> Endpoint | None:
        """Where it answers, or None while it doesn't."""
        return None if self.settings.off else self._latest()[1]

    def on_ready(self, callback: Callable[[], None]) -> None:
        """Have it called each time the model becomes ready, from the supervisor's thread; at once if it is ready."""
        with self._guard:
            self._callbacks.append(callback)
            ready = self._told[1] is not None
        if ready:
            callback()

    def _takes_part(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _latest(self) -> Told:
        if self._takes_part():
            return self._told
        return (self._lock.taken_by_another() and self._notice.read()) or NOBODY

    def _run(self, stopping: Event) -> None:
        try:
            while not stopping.is_set():
                self._take_a_turn(stopping)
        finally:
            self._told = NOBODY
            if self._lock.held:
                self._notice.remove()
            self._lock.release()

    def _take_a_turn(self, stopping: Event) -> None:
        try:
            if self._lock.take():
                Holder(self.settings, self._command, self._fetch, self._tell).run(stopping)
            else:
                self._remember(*(self._notice.read() or NOBODY))
        except Exception as error:  # a full disk, say: the thread must live to try again
            log.exception("the embedded model's supervisor stumbled")
            self._remember(Status("failed", f"{type(error).__name__}: {error}"), None)
            stopping.wait(START_AGAIN_AFTER[-1])
        stopping.wait(LOOK_EVERY)

    def _tell(self, status: Status, endpoint: Endpoint | None = None) -> None:
        """The holder's news, to the other processes and to our own."""
        self._notice.write(status, endpoint)
        self._remember(status, endpoint)

    def _remember(self, status: Status, endpoint: Endpoint | None) -> None:
        with self._guard:
            became_ready = endpoint is not None and endpoint != self._told[1]
            self._told = (status, endpoint)
            callbacks = list(self._callbacks) if became_ready else []
        for callback in callbacks:
            try:
                callback()
            except Exception:  # a listener's trouble is no reason to stop the model
                log.exception("a listener of the embedded model failed")
