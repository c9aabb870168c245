"""One request and its reply, bounded in time and size whatever the other side does."""

import asyncio
import io
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from yarl import URL

# aiohttp warns of more in one piece.
LONGEST_PIECE = 1 << 20
UNPACKABLE = "it cannot be decompressed"


class NoReply(Exception):
    """Nothing came back, or not all of it in time; another attempt may go better."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. `body` is decompressed; `problem` says why it is not the whole, "" where it is.

    `duration` is in milliseconds.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    problem: str
    duration: int

    @property
    def ok(self) -> bool:
        """Whether the status is a success; a redirect, which is never followed, is none."""
        return 200 <= self.status < 300


async def exchange(
    session: aiohttp.ClientSession,
    method: str,
    url: URL,
    *,
    headers: Mapping[str, str],
    body: bytes | None = None,
    seconds: float,
    most: int,
) -> Reply:
    """Send a request and read at most `most` bytes of the reply, all within `seconds`; see `open_session`.

    Raises NoReply, and Refused where the guard does not let it through.
    """
    begun = time.monotonic()
    try:
        async with (
            asyncio.timeout(seconds),
            session.request(
                method, url, data=_payload(body), headers=_asked(headers), allow_redirects=False
            ) as response,
        ):
            text, problem = await _read(response, most)
            duration = round((time.monotonic() - begun) * 1000)
            return Reply(response.status, response.headers, text, problem, duration)
    except TimeoutError:
        raise NoReply(f"no reply within {seconds:g} s") from None
    except (aiohttp.ClientError, OSError) as error:
        raise NoReply(why(error)) from None


def why(error: Exception) -> str:
    """What went wrong with a connection, in words that hold nothing of what was sent."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name does not resolve"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not valid"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection ({error.os_error.strerror or 'it failed'})"
    if isinstance(error, aiohttp.ClientResponseError):
        return "what came back is not HTTP, or its headers are too long"
    return f"the connection broke ({type(error).__name__})"


def _asked(headers: Mapping[str, str]) -> dict[str, str]:
    return {"Accept-Encoding": "identity", **headers}


def _payload(body: bytes | None) -> bytes | io.BytesIO | None:
    return io.BytesIO(body) if body is not None and len(body) > LONGEST_PIECE else body


async def _read(response: aiohttp.ClientResponse, most: int) -> tuple[bytes, str]:
    """The body, at most `most` bytes of it, and what is wrong with it."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip", "x-gzip", "deflate", ""}:
        return b"", "it is encoded in a way that was not asked for"
    unpack = None if encoding in {"identity", ""} else zlib.decompressobj(wbits=47)  # 32 + 15: zlib or gzip
    text, begun = bytearray(), False
    try:
        async for piece in response.content.iter_any():
            begun = True
            # Never more than one byte past the limit, however small the piece that it was packed into.
            text += unpack.decompress(piece, most + 1 - len(text)) if unpack else piece
            if len(text) > most:
                return bytes(text[:most]), f"it is longer than {most} bytes"
            if unpack and unpack.eof:
                return bytes(text), ""
    except zlib.error:
        return bytes(text), UNPACKABLE
    return bytes(text), UNPACKABLE if unpack and begun else ""
