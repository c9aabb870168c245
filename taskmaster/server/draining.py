"""The end of the server: nothing new, everything under way finished, everybody told."""

import asyncio
import logging
import os
import signal
from typing import TYPE_CHECKING, Any

from twisted.internet import reactor as installed_reactor

from taskmaster.server.web_socket import Socket

if TYPE_CHECKING:
    from taskmaster.server.daphne import Server

logger = logging.getLogger(__name__)
reactor: Any = installed_reactor

Tasks = set[asyncio.Task[Any]]

SERVICE_RESTART = 1012
MOMENT = 0.05  # seconds, in which the loop reads and writes what lies ready
CLOSING = 2.0  # seconds for WebSockets and the last applications to end


class Draining:
    """Waits for a signal, then ends the server; a second signal ends it at once."""

    def __init__(self, server: "Server", port: Any) -> None:
        self.server = server
        self.port = port
        self.emptied = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def await_signals(self) -> None:
        """Take SIGTERM and SIGINT over."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.server.loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: int) -> None:
        if self._task:
            os._exit(128 + number)
        self._task = self.server.loop.create_task(self._end())

    async def _end(self) -> None:
        try:
            await self._drain(self.server.loop.time() + self.server.limits.drain_timeout)
        except Exception:
            logger.exception("The server could not be drained")
        finally:
            reactor.stop()

    async def _drain(self, deadline: float) -> None:
        self.server.draining = True
        self._call_on_drain()
        await self._stop_accepting()
        for channel in list(self.server.channels):
            channel.wind_down()
        await self._within(deadline, self._before_close())
        if self.server.channels:
            self.emptied.clear()  # it is set whenever the last connection goes
            await self._within(deadline, self.emptied.wait())
        self._close_sockets()
        await self._end_applications()

    def _call_on_drain(self) -> None:
        try:
            if self.server.hooks.on_drain:
                self.server.hooks.on_drain()
        except Exception:
            logger.exception("on_drain failed")

    async def _stop_accepting(self) -> None:
        self.port.doRead()  # what the kernel has accepted for us would be reset with the socket
        self.port.stopListening()
        await asyncio.sleep(MOMENT)  # requests that have reached this machine are read before idle clients are closed

    async def _before_close(self) -> None:
        if self.server.hooks.before_close:
            await self.server.hooks.before_close()

    async def _within(self, deadline: float, work: Any) -> None:
        """Wait for the work until the deadline; its failure does not stop the end."""
        try:
            await asyncio.wait_for(work, max(0.0, deadline - self.server.loop.time()))
        except TimeoutError:
            logger.warning("Not everything was finished within %s s", self.server.limits.drain_timeout)
        except Exception:
            logger.exception("before_close failed")

    def _close_sockets(self) -> None:
        for protocol in list(self.server.connections):
            if isinstance(protocol, Socket) and protocol.state == protocol.STATE_OPEN:
                protocol.serverClose(SERVICE_RESTART, "The server restarts.")

    async def _end_applications(self) -> None:
        _cancel(self._late())
        await _wait(set(self.server.tasks))
        left = {task for task in asyncio.all_tasks() if task is not self._task}
        _cancel(left)
        await _wait(left)
        await asyncio.sleep(MOMENT)  # the last bytes leave

    def _late(self) -> Tasks:
        """The requests that had their time and are still unanswered."""
        tasks, unanswered = self.server.tasks, self.server.connections
        return {task for task, of in tasks.items() if of in unanswered and not isinstance(of, Socket)}


def _cancel(tasks: Tasks) -> None:
    for task in tasks:
        task.cancel()


async def _wait(tasks: Tasks) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=CLOSING)
