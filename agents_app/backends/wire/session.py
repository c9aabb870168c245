"""One HTTP session for each event loop, closed with the loop."""

import asyncio
from collections.abc import AsyncGenerator, Callable

import aiohttp

Connector = Callable[[], aiohttp.BaseConnector]
Life = AsyncGenerator[aiohttp.ClientSession, None]

CONNECT = 10.0
# Between two pieces of an answer. A busy server that sends nothing while a request waits its turn is not dead yet.
SILENCE = 300.0


def connector() -> aiohttp.BaseConnector:
    """Connections to wherever the configuration points, one for each answer, so that closing it ends the answer.

    As many as there are answers: one organization's slow endpoint must not hold up another's.
    """
    return aiohttp.TCPConnector(force_close=True, limit=0)


class Sessions:
    """Sessions by event loop. A loop that ends as asyncio.run ends closes its own."""

    def __init__(self, make: Connector = connector) -> None:
        self._make = make
        self._lives: dict[asyncio.AbstractEventLoop, tuple[aiohttp.ClientSession, Life]] = {}

    async def get(self) -> aiohttp.ClientSession:
        """The running loop's session."""
        loop = asyncio.get_running_loop()
        if loop not in self._lives:
            for ended in [other for other in self._lives if other.is_closed()]:
                del self._lives[ended]
            life = self._life(loop)
            self._lives[loop] = (await anext(life), life)
        return self._lives[loop][0]

    async def close(self) -> None:
        """Close the running loop's session; the next `get` opens another."""
        loop = asyncio.get_running_loop()
        if loop in self._lives:
            await self._lives[loop][1].aclose()

    async def _life(self, loop: asyncio.AbstractEventLoop) -> Life:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=SILENCE)
        # No cookies: they would carry one organization's state into another's request.
        session = aiohttp.ClientSession(connector=self._make(), timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        try:
            yield session
        finally:
            self._lives.pop(loop, None)
            await session.close()


async def beginning(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body's first `most` bytes."""
    text = b""
    while len(text) < most and (chunk := await response.content.read(most - len(text))):
        text += chunk
    return text
