"""Connections that go only where they may: the address that is dialled is the one that was checked."""

import asyncio
import socket
from functools import partial
from ssl import SSLContext

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from .addresses import refuse_address
from .lookups import AsyncLookup, look_up_async
from .urls import refuse_host

CONNECT_SECONDS = 10.0
MOST_LOOKUPS = 64
# In seconds: silence before the first probe, between probes; how many may stay unanswered.
KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}

# (family, type, protocol, canonical name, address), as getaddrinfo gives them.
AddressInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]


def guarded_connector(
    *, allow_loopback: bool, keep_alive: float = 0, lookup: AsyncLookup = look_up_async, tls: SSLContext | bool = True
) -> aiohttp.TCPConnector:
    """A connector that raises Refused instead of connecting to where nothing may be sent.

    Made in the event loop that uses it. `keep_alive` is in seconds; with 0 every request has a connection of its own.
    Nothing waits for another's connection: how much runs at once is the caller's to bound.
    """
    return aiohttp.TCPConnector(
        resolver=GuardedResolver(allow_loopback=allow_loopback, lookup=lookup),
        use_dns_cache=False,
        socket_factory=partial(_checked_socket, allow_loopback),
        limit=0,
        ssl=tls,
        **({"keepalive_timeout": keep_alive} if keep_alive else {"force_close": True}),
    )


def open_session(connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
    """A session without cookies, without the environment's proxies and without decompression of unknown length."""
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
    )


class GuardedResolver(AbstractResolver):
    """Looks a name up once for each connection and gives its addresses only where every one of them may be dialled."""

    def __init__(self, *, allow_loopback: bool, lookup: AsyncLookup) -> None:
        self._allow_loopback = allow_loopback
        self._lookup = lookup
        self._room = asyncio.Semaphore(MOST_LOOKUPS)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The name's addresses. Raises Refused, and OSError where it has none."""
        refuse_host(host, allow_loopback=self._allow_loopback)
        async with self._room:
            addresses = await self._lookup(host, port)
        for address in addresses:
            refuse_address(address, allow_loopback=self._allow_loopback)
        return [_result(host, address, port) for address in dict.fromkeys(addresses)]

    async def close(self) -> None:
        """Nothing is kept."""


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=flags)


def _checked_socket(allow_loopback: bool, info: AddressInfo) -> socket.socket:
    """A socket for the address that is dialled next; addresses written in a URL reach no resolver."""
    family, kind, protocol, _, address = info
    refuse_address(str(address[0]), allow_loopback=allow_loopback)
    made = socket.socket(family, kind, protocol)
    # An agent may work for half an hour before it answers; a machine that vanished meanwhile is noticed in minutes.
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEP_ALIVE.items():
        if option := getattr(socket, name, None):
            made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made
