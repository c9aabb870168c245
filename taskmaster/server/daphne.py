"""Our Daphne: bounded in size and time, JSON errors, several processes on one port, and an end that loses nothing."""
# mypy: disable-error-code="no-untyped-call,misc,import-untyped"
# Daphne's classes carry no types.

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from daphne.http_protocol import HTTPFactory
from daphne.server import Server as DaphneServer
from twisted.internet import reactor as installed_reactor
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    STDLibLogObserver,
    globalLogBeginner,
)

from taskmaster.server.draining import Draining
from taskmaster.server.http_channel import Channel
from taskmaster.server.limits import DEFAULT_LIMITS, ErrorBody, Limits, plain_error_body
from taskmaster.server.listening import bind
from taskmaster.server.mailbox import Mailbox, Message
from taskmaster.server.phases import deadlines
from taskmaster.server.web_request import ClientGone, Request
from taskmaster.server.web_socket import Socket, socket_factory

logger = logging.getLogger(__name__)
reactor: Any = installed_reactor

Application = Callable[..., Awaitable[None]]
Protocol = Request | Socket

# Daphne keeps a dict of facts for each connection; ours needs to know only that it is there.
_OPEN: dict[str, Any] = {}
_ASGI = {"version": "3.0"}


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the program around the server wants to be told; all are called in the event loop."""

    on_loop: Callable[[asyncio.AbstractEventLoop], None] | None = None
    on_ready: Callable[[int], None] | None = None
    on_drain: Callable[[], None] | None = None
    before_close: Callable[[], Awaitable[None]] | None = None


class Factory(HTTPFactory):
    """Makes our channels and requests where Daphne makes its own."""

    protocol = Channel

    def __init__(self, server: "Server") -> None:
        super().__init__(server)
        self.timeOut = None  # the channel has deadlines of its own

    def buildProtocol(self, addr: Any) -> Channel:
        """The channel for a new connection."""
        channel: Channel = super().buildProtocol(addr)
        channel.requestFactory = Request
        return channel

    def log(self, request: Any) -> None:
        """No access log."""


class Server(DaphneServer):
    """Daphne's server, started, watched and ended in our way."""

    draining = False

    def __init__(self, application: Application, *, limits: Limits, error_body: ErrorBody, hooks: Hooks) -> None:
        # Daphne insists on an endpoint, though it is run() that would use it, and run() is ours.
        # A buffer larger than any body gives the application its body in one message.
        super().__init__(application, endpoints=["ours"], server_name="", request_buffer_size=limits.body_bytes + 1)
        self.limits = limits
        self.deadlines = deadlines(limits)
        self.error_body = error_body
        self.hooks = hooks
        self.loop: asyncio.AbstractEventLoop = reactor._asyncioEventloop
        self.connections: dict[Protocol, dict[str, Any]] = {}
        self.channels: set[Channel] = set()
        self.large: set[Request] = set()
        self.tasks: dict[asyncio.Task[None], Protocol] = {}
        self.ending: Draining | None = None
        self.failure: BaseException | None = None

    def serve(self, host: str, port: int, *, reuse_port: bool) -> None:
        """Block until a signal has ended the server, or its start has failed."""
        listener = bind(host, port, reuse_port=reuse_port)
        self.http_factory = Factory(self)
        self.ws_factory = socket_factory(self, self.limits)
        asyncio.set_event_loop(self.loop)
        self.loop.call_soon(self._start, listener)
        reactor.run(installSignalHandlers=False)
        if self.failure:
            raise self.failure

    def _start(self, listener: Any) -> None:
        try:
            if self.hooks.on_loop:
                self.hooks.on_loop(self.loop)
            port = reactor.adoptStreamPort(listener.fileno(), listener.family, self.http_factory)
            listener.close()  # Twisted has its own copy of the descriptor
            self.ending = Draining(self, port)
            self.ending.await_signals()
            if self.hooks.on_ready:
                self.hooks.on_ready(port.getHost().port)
        except BaseException as problem:
            self.failure = problem
            reactor.stop()

    # Connections

    def protocol_connected(self, protocol: Protocol) -> None:
        """Daphne calls this for each request and each WebSocket."""
        self.connections[protocol] = _OPEN

    def protocol_disconnected(self, protocol: Protocol) -> None:
        """It is answered, or its client has gone; its application is told and ends in its own time."""
        self.connections.pop(protocol, None)

    def forget(self, channel: Channel) -> None:
        """The connection is closed, or has become a WebSocket."""
        self.channels.discard(channel)
        if self.ending and not self.channels:
            self.ending.emptied.set()

    # Applications

    def create_application(self, protocol: Protocol, scope: dict[str, Any]) -> Mailbox:
        """Start the application for a request or a WebSocket; a callback notices its end, where Daphne polls."""
        scope["asgi"] = _ASGI
        if isinstance(protocol, Request):
            scope["extensions"] = {"taskmaster": protocol.extension()}
        else:
            scope["extensions"] = {"taskmaster": {"socket": protocol}}
        mailbox = Mailbox()
        receive = mailbox.get if isinstance(protocol, Request) else partial(protocol.receive, mailbox)
        running = self.application(scope=scope, receive=receive, send=partial(self.handle_reply, protocol))
        task = self.loop.create_task(running)
        self.tasks[task] = protocol
        task.add_done_callback(self._ended)
        return mailbox

    def _ended(self, task: "asyncio.Task[None]") -> None:
        protocol = self.tasks.pop(task)
        problem = None if task.cancelled() else task.exception()
        if problem and not isinstance(problem, ClientGone):
            logger.error("Exception inside application: %s", problem, exc_info=problem)
        if protocol in self.connections:
            protocol.application_ended(problem)

    async def handle_reply(self, protocol: Protocol, message: Message) -> None:
        """The application's send(): returns when the client has room for more."""
        await super().handle_reply(protocol, message)
        await protocol.room()


def _log_twisted(verbosity: int) -> None:
    """Twisted's own log: its errors always, the rest on request."""
    level = LogLevel.error if verbosity < 2 else LogLevel.debug
    to_logging: Any = STDLibLogObserver("twisted")
    at_level: Any = LogLevelFilterPredicate(level)
    observer: Any = FilteringLogObserver(to_logging, [at_level])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False, discardBuffer=True)


def run_server(
    application: Application,
    *,
    host: str,
    port: int,
    reuse_port: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    error_body: ErrorBody = plain_error_body,
    on_loop: Callable[[asyncio.AbstractEventLoop], None] | None = None,
    on_ready: Callable[[int], None] | None = None,
    on_drain: Callable[[], None] | None = None,
    before_close: Callable[[], Awaitable[None]] | None = None,
    verbosity: int = 1,
) -> None:
    """Serve on the main thread until SIGTERM or SIGINT, then end gracefully; a second signal ends at once.

    `on_loop` is called before the first request, `on_ready` with the bound port (`port` 0 takes any free one),
    `on_drain` when no more connections are accepted, and `before_close` so that waiting requests and streams can
    be finished early. SystemExit with one line if the port cannot be had.
    """
    hooks = Hooks(on_loop=on_loop, on_ready=on_ready, on_drain=on_drain, before_close=before_close)
    _log_twisted(verbosity)
    server = Server(application, limits=limits, error_body=error_body, hooks=hooks)
    server.serve(host, port, reuse_port=reuse_port)
