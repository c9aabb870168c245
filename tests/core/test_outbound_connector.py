"""Every connection goes where it was checked, whatever a name leads to by then."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from taskmaster.core.outbound import Refused, guarded_connector, open_session
from taskmaster.core.outbound.connector import GuardedResolver

from .certificates import certificate_for

PRIVATE = [
    "http://10.0.0.1/",
    "http://127.0.0.1/",
    "http://169.254.169.254/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://0.0.0.0/",
    "http://192.168.0.1/",
]


@pytest.fixture(autouse=True)
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every address that is dialled; a test that would dial one elsewhere fails instead."""
    seen: list[str] = []
    connect = socket.socket.connect

    def checked(self: socket.socket, address: Any) -> None:
        assert self.family == socket.AF_UNIX or address[0] in {"127.0.0.1", "::1"}, f"dialled {address}"
        seen.append(address[0])
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", checked)
    return seen


class Names:
    """A resolver that is as a test says: the n-th lookup of any name gives the n-th list of addresses."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if not self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return self.answers.pop(0)


@asynccontextmanager
async def serving(handler: Callable[[web.Request], Any], tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve on loopback; gives the port."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def hello(request: web.Request) -> web.StreamResponse:
    return web.Response(text=request.host, headers={"Set-Cookie": "a=b"})


async def get(url: str, names: Names, *, allow_loopback: bool = True, **options: Any) -> str:
    connector = guarded_connector(allow_loopback=allow_loopback, lookup=names, **options)
    async with open_session(connector) as session, session.get(URL(url), allow_redirects=False) as response:
        return await response.text()


def test_a_name_is_looked_up_once_and_its_address_is_dialled(dialled: list[str]) -> None:
    async def run() -> None:
        names = Names(["127.0.0.1"])
        async with serving(hello) as port:
            assert await get(f"http://hooks.example:{port}/", names) == f"hooks.example:{port}"
        assert names.asked == ["hooks.example"]
        assert dialled == ["127.0.0.1"]

    asyncio.run(run())


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "127.0.0.1", "::1", "169.254.169.254", "::ffff:8.8.8.8", "fe80::1%eth0"]
)
def test_a_name_that_leads_to_a_private_place_is_not_dialled(address: str, dialled: list[str]) -> None:
    with pytest.raises(Refused):
        asyncio.run(get("http://hooks.example/", Names([address]), allow_loopback=False))
    assert dialled == []


@pytest.mark.parametrize("addresses", [["127.0.0.1", "10.0.0.1"], ["::1", "127.0.0.1", "fd00::1"]])
def test_one_private_address_among_others_is_enough_to_refuse_them_all(
    addresses: list[str], dialled: list[str]
) -> None:
    with pytest.raises(Refused):
        asyncio.run(get("http://hooks.example/", Names(addresses)))
    assert dialled == []


def test_a_name_that_changes_its_mind_is_checked_at_every_connection(dialled: list[str]) -> None:
    async def run() -> None:
        names = Names(["127.0.0.1"], ["10.0.0.1"], ["127.0.0.1"])
        async with serving(hello) as port:
            connector = guarded_connector(allow_loopback=True, lookup=names)
            async with open_session(connector) as session:
                url = f"http://hooks.example:{port}/"
                async with session.get(url) as first:
                    assert first.status == 200
                with pytest.raises(Refused, match="a private address"):
                    await session.get(url)
                async with session.get(url) as third:
                    assert third.status == 200
        assert len(names.asked) == 3
        assert dialled == ["127.0.0.1", "127.0.0.1"]

    asyncio.run(run())


@pytest.mark.parametrize("url", PRIVATE)
def test_an_address_in_the_url_is_checked_too_though_nobody_looks_it_up(url: str, dialled: list[str]) -> None:
    names = Names()
    with pytest.raises(Refused):
        asyncio.run(get(url, names, allow_loopback=False))
    assert (names.asked, dialled) == ([], [])


@pytest.mark.parametrize("url", ["http://2130706433/", "http://127.1/", "http://0x7f.1/", "http://0177.0.0.1/"])
def test_odd_numbers_are_never_dialled(url: str, dialled: list[str]) -> None:
    with pytest.raises((Refused, aiohttp.InvalidURL)):
        asyncio.run(get(url, Names(["127.0.0.1"])))
    assert dialled == []


@pytest.mark.parametrize("host", ["metadata.google.internal", "METADATA", "localhost", "x.localhost"])
def test_a_refused_name_is_not_even_looked_up(host: str) -> None:
    names = Names(["8.8.8.8"])
    with pytest.raises(Refused):
        asyncio.run(get(f"http://{host}/", names, allow_loopback=False))
    assert names.asked == []


def test_a_redirect_to_a_private_place_does_not_get_there_even_if_followed(dialled: list[str]) -> None:
    async def away(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("http://10.0.0.1/")

    async def run() -> None:
        async with serving(away) as port:
            connector = guarded_connector(allow_loopback=True, lookup=Names())
            async with open_session(connector) as session:
                with pytest.raises(Refused):
                    await session.get(f"http://127.0.0.1:{port}/", allow_redirects=True)

    asyncio.run(run())
    assert dialled == ["127.0.0.1"]


def test_a_kept_connection_is_used_again_and_a_closed_one_is_not(dialled: list[str]) -> None:
    async def run(keep_alive: float) -> int:
        dialled.clear()
        async with serving(hello) as port:
            connector = guarded_connector(allow_loopback=True, keep_alive=keep_alive)
            async with open_session(connector) as session:
                for _ in range(3):
                    async with session.get(f"http://127.0.0.1:{port}/") as response:
                        await response.read()
        return len(dialled)

    assert [asyncio.run(run(0)), asyncio.run(run(30))] == [3, 1]


def test_no_proxy_of_the_environment_and_no_cookie_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://10.0.0.1:8080")
    cookies: list[str | None] = []

    async def keep(request: web.Request) -> web.StreamResponse:
        cookies.append(request.headers.get("Cookie"))
        return await hello(request)

    async def run() -> None:
        connector = guarded_connector(allow_loopback=True, lookup=Names())
        async with serving(keep) as port, open_session(connector) as session:
            for _ in range(2):
                async with session.get(f"http://127.0.0.1:{port}/") as response:
                    assert response.status == 200

    asyncio.run(run())
    assert cookies == [None, None]


def test_tls_is_asked_for_by_name_and_verified_against_it(dialled: list[str]) -> None:
    async def run() -> None:
        server, client = certificate_for("hooks.example")
        asked: list[str | None] = []
        server.sni_callback = lambda _, name, __: asked.append(name)
        names = Names(["127.0.0.1"], ["127.0.0.1"])
        async with serving(hello, server) as port:
            text = await get(f"https://hooks.example:{port}/", names, tls=client)
            assert text == f"hooks.example:{port}"
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await get(f"https://other.example:{port}/", names, tls=client)
        assert asked == ["hooks.example", "other.example"]
        assert dialled == ["127.0.0.1", "127.0.0.1"]

    asyncio.run(run())


def test_more_connections_than_aiohttps_hundred_may_wait_at_once() -> None:
    assert asyncio.run(_limit()) == 0


async def _limit() -> int:
    async with guarded_connector(allow_loopback=False) as connector:
        return connector.limit


def test_a_name_that_does_not_resolve_is_an_error_of_the_connection() -> None:
    with pytest.raises(aiohttp.ClientConnectorDNSError):
        asyncio.run(get("http://hooks.example/", Names()))


def test_lookups_that_hang_hold_no_more_than_their_share() -> None:
    async def run() -> None:
        going, release = 0, asyncio.Event()

        async def slow(host: str, port: int) -> list[str]:
            nonlocal going
            going += 1
            await release.wait()
            return ["127.0.0.1"]

        resolver = GuardedResolver(allow_loopback=True, lookup=slow)
        lookups = [asyncio.create_task(resolver.resolve("hooks.example", 80)) for _ in range(100)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert going == 64
        release.set()
        assert [found[0]["host"] for found in await asyncio.gather(*lookups)] == ["127.0.0.1"] * 100

    asyncio.run(run())


def test_the_systems_resolver_is_asked_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(host: str, port: int, **more: object) -> list[tuple[object, ...]]:
        if host != "hooks.example":
            raise UnicodeError("label empty or too long")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    async def run() -> None:
        async with serving(hello) as port, open_session(guarded_connector(allow_loopback=True)) as session:
            async with session.get(f"http://hooks.example:{port}/") as response:
                assert response.status == 200
            with pytest.raises(aiohttp.ClientConnectorDNSError):
                await session.get(f"http://other.example:{port}/")

    asyncio.run(run())
