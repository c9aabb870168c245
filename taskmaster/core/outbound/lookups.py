"""Asks the system's resolver in threads that nobody has to wait for: a dead name server may hold one for a minute."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from threading import Thread

LOOKUP_SECONDS = 5.0
AT_CREATION_SECONDS = 2.0

Lookup = Callable[[str, int], list[str]]
AsyncLookup = Callable[[str, int], Awaitable[list[str]]]


def look_up(host: str, port: int) -> list[str]:
    """The addresses of a name now. Raises OSError where there are none or they take too long."""
    return _begin(host, port).result(AT_CREATION_SECONDS)


async def look_up_async(host: str, port: int) -> list[str]:
    """The addresses of a name now. Raises OSError where there are none or they take too long."""
    async with asyncio.timeout(LOOKUP_SECONDS):
        return await asyncio.wrap_future(_begin(host, port))


def _begin(host: str, port: int) -> Future[list[str]]:
    found: Future[list[str]] = Future()
    found.set_running_or_notify_cancel()
    # A daemon: an executor's thread would keep the process from ending.
    Thread(target=_resolve, args=(found, host, port), name="lookup", daemon=True).start()
    return found


def _resolve(found: Future[list[str]], host: str, port: int) -> None:
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        found.set_result([str(address[0]) for *_, address in infos])
    except UnicodeError:
        found.set_exception(OSError("no such name"))
    except OSError as error:
        found.set_exception(error)
