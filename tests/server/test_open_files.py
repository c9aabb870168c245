"""More connections than the soft limit it was started with."""

import contextlib
import resource
import socket
from collections.abc import Iterator

import httpx
import pytest

from taskmaster.server import open_files
from tests.live import installation

SOFT, MORE = 300, 400


@contextlib.contextmanager
def soft_limit(number: int) -> Iterator[None]:
    """For this process, and for those that it starts meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_server_holds_more_connections_than_the_soft_limit_it_was_started_with(tmp_path) -> None:
    with installation(tmp_path) as live, contextlib.ExitStack() as connections:
        with soft_limit(SOFT):
            live.start()
        address = "127.0.0.1", int(live.env["PORT"])
        for _ in range(MORE):
            connections.enter_context(socket.create_connection(address, timeout=5))
        assert httpx.get(f"{live.root}/livez", timeout=5).status_code == 200


@pytest.mark.parametrize(
    ("limits", "raised"),
    [
        ((1_024, 4_096), (4_096, 4_096)),
        ((1_024, 1_048_576), (65_536, 1_048_576)),
        ((1_024, resource.RLIM_INFINITY), (65_536, resource.RLIM_INFINITY)),
        ((4_096, 4_096), None),
        ((100_000, 1_048_576), None),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), None),
    ],
)
def test_the_limit_is_raised_to_what_is_allowed_and_of_use_and_never_lowered(monkeypatch, limits, raised) -> None:
    calls = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda which, new: calls.append((which, new)))
    open_files.raise_limit()
    assert calls == ([(resource.RLIMIT_NOFILE, raised)] if raised else [])


def test_where_the_system_refuses_the_limit_stays(monkeypatch) -> None:
    def refuse(which: int, new: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda which: (1_024, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    open_files.raise_limit()
