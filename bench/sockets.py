"""Many WebSockets in the load process, and what is asked of them."""

import asyncio
import base64
import os
import resource
import socket
from typing import Any

from .jobs import spread
from .web_socket import Crowd, Socket, masked

Json = dict[str, Any]

AT_ONCE = 50  # handshakes
SMALL_BUFFER = 4096  # bytes that a client takes in which does not read


def allow_descriptors() -> None:
    """As many open files as this user may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Sockets:
    """All that are open, and what they have been sent."""

    def __init__(self) -> None:
        self._crowd = Crowd()
        self._open: list[Socket] = []

    async def open(self, job: Json) -> Json:
        """Open `count` more; each sends `first`, if given, and waits for one frame; `deaf` ones then read no more."""
        allow_descriptors()
        self._crowd.expect(job["count"] if job["first"] else 0, marked=False)
        for start in range(0, job["count"], AT_ONCE):
            some = min(AT_ONCE, job["count"] - start)
            self._open += await asyncio.gather(*[self._one(job) for _ in range(some)])
        if job["first"]:
            await self._crowd.all()
        for one in self._open[-job["count"] :] if job["deaf"] else ():
            one.transport.pause_reading()
        return {"open": len(self._open), "answered": self._crowd.frames}

    async def expect(self, job: Json) -> Json:
        """From now on count the frames, of which `each` socket that reads is to have so many."""
        reading = sum(one.transport.is_reading() for one in self._open)
        self._crowd.expect(reading * job["each"], marked=job["marked"])
        return {"reading": reading}

    async def arrived(self, job: Json) -> Json:
        """How many have come until all have, or no more come, and when the last did."""
        await self._crowd.all()
        lost = self._crowd.expected - self._crowd.frames
        return {"count": self._crowd.frames, "lost": lost, "last": self._crowd.last}

    async def delays(self, job: Json) -> Json:
        """How long each frame took from the moment that `sent` gives for its mark."""
        sent, marks = job["sent"], self._crowd.marks or []
        return spread([moment - sent[mark] for mark, moment in marks])

    async def hear(self, job: Json) -> Json:
        """The deaf ones read after all, and are to have so many frames."""
        self._crowd.expect(job["each"] * sum(not one.transport.is_reading() for one in self._open), marked=False)
        for one in self._open:
            one.transport.resume_reading()
        return await self.arrived(job)

    async def close(self, job: Json) -> Json:
        """Close all."""
        for one in self._open:
            one.transport.abort()
        self._open.clear()
        return {}

    async def _one(self, job: Json) -> Socket:
        key = base64.b64encode(os.urandom(16)).decode()
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        headers = {"Host": "127.0.0.1", **upgrade, "Sec-WebSocket-Key": key, **job["headers"]}
        lines = [f"GET {job['path']} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        first = masked(job["first"].encode()) if job["first"] else b""
        loop, sock = asyncio.get_running_loop(), socket.socket()
        sock.setblocking(False)
        if job["deaf"]:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        await loop.sock_connect(sock, ("127.0.0.1", job["port"]))
        transport, one = await loop.create_connection(lambda: Socket(self._crowd, first), sock=sock)
        transport.write("\r\n".join([*lines, "", ""]).encode())
        await asyncio.wait_for(one.opened, 30)
        return one
