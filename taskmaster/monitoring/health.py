"""Whether the parts work, each looked at with a bound on the time it may take."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from django.conf import settings
from django.core.cache import cache
from django.db import close_old_connections, connection
from kombu import Connection

from agents_app import registry
from agents_app.models import Worker
from taskmaster.core.ids import new_id

HEALTHY, DEGRADED, UNHEALTHY, UNCONFIGURED = "healthy", "degraded", "unhealthy", "unconfigured"
LIMIT_SECONDS = 1.5
NEEDED = ("database", "cache", "broker", "workers")


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HEALTHY


def _cache() -> str:
    token = new_id("probe")
    cache.set("health", token, 10)
    # Another process may have written between; any answer at all shows that it works.
    return HEALTHY if cache.get("health") else UNHEALTHY


def _broker() -> str:
    if settings.EMBEDDED:
        return HEALTHY  # In this very process.
    with Connection(settings.BROKER_URL, connect_timeout=1, transport_options={"socket_timeout": 1}) as broker:
        broker.ensure_connection(max_retries=1, timeout=1)
    return HEALTHY


def _workers() -> str:
    return HEALTHY if Worker.live().exists() else UNHEALTHY


def _local_model() -> str:
    unready = [worker.unready.get("local") for worker in Worker.live()]
    if None in unready:
        return HEALTHY
    off = registry.BACKENDS["local"].unready({})
    if off and off.for_good:
        return UNCONFIGURED
    # Still coming, or not to be had.
    return UNHEALTHY if any(why and why["state"] == "failed" for why in unready) else DEGRADED


def _unconfigured() -> str:
    return UNCONFIGURED


CHECKS: dict[str, Callable[[], str]] = {
    "database": _database,
    "cache": _cache,
    "broker": _broker,
    "workers": _workers,
    "localModel": _local_model,
    "claudeInterface": _unconfigured,
    "codegenSDK": _unconfigured,
}


class Checker:
    """Runs the checks side by side. One that hangs is unhealthy and is not begun again until it has come back."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(len(CHECKS), thread_name_prefix="health")
        self._running: dict[str, Future[str]] = {}
        self._lock = threading.Lock()

    def components(self) -> dict[str, str]:
        """Every component's state, within two seconds."""
        deadline = time.monotonic() + LIMIT_SECONDS
        with self._lock:
            for name, check in CHECKS.items():
                if name not in self._running or self._running[name].done():
                    self._running[name] = self._pool.submit(self._run, check)
            running = dict(self._running)
        wait(running.values(), timeout=max(0.0, deadline - time.monotonic()))
        return {name: future.result() if future.done() else UNHEALTHY for name, future in running.items()}

    @staticmethod
    def _run(check: Callable[[], str]) -> str:
        try:
            return check()
        except Exception:
            return UNHEALTHY
        finally:
            close_old_connections()


checker = Checker()


def overall(components: dict[str, str]) -> str:
    """The whole: unhealthy where a needed part is down, degraded where any other one is.

    A degraded part, such as a model whose weights are still coming in, leaves the whole healthy.
    """
    if any(components[name] == UNHEALTHY for name in NEEDED):
        return UNHEALTHY
    return DEGRADED if UNHEALTHY in components.values() else HEALTHY
