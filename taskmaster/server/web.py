"""The web process: our Daphne around the edge."""

import asyncio
import gc
import logging
import re
from collections.abc import Callable

from django.conf import settings

from sessions_app.sockets.presence import presence
from sessions_app.sockets.watch import watch
from taskmaster.core.wakeups import hub
from taskmaster.events.relay import relay
from taskmaster.monitoring.process import process

from .daphne import run_server
from .error_bodies import error_body
from .limits import Limits
from .open_files import raise_limit

logger = logging.getLogger(__name__)

UPLOADS = re.compile(rb"PUT /api/v1/sessions/[^/]+/files/.+")


def serve(*, reuse_port: bool, on_ready: Callable[[int], None]) -> None:
    """Answer HTTP until a signal ends it; then finish what is in flight."""
    from taskmaster.asgi import application, edge

    raise_limit()

    def begin(port: int) -> None:
        # What is there by now stays: looking through it for garbage again and again would stop everything for 0.1 s.
        gc.freeze()
        relay.start_once()
        process.begin(lambda: edge.connections + len(edge.holding) + len(watch))
        on_ready(port)

    def drain() -> None:
        process.drain()

    async def release() -> None:
        edge.holding.release()

    def bind(loop: asyncio.AbstractEventLoop) -> None:
        hub.bind(loop)

    run_server(
        application,
        host=settings.HOST,
        port=settings.PORT,
        reuse_port=reuse_port,
        limits=Limits(large_route=UPLOADS, large_body_bytes=settings.UPLOAD_BYTES),
        error_body=error_body,
        on_loop=bind,
        on_ready=begin,
        on_drain=drain,
        before_close=release,
    )
    presence.end()
    process.end()
    relay.stop()
