"""Files that are larger than any message, up and down again."""

import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.live import until

from .cast import Cast
from .test_limits import check_envelope

MB = 1024 * 1024


@pytest.fixture
def session(cast: Cast) -> str:
    """A session without files."""
    return cast.session(cast.agent())


@pytest.fixture
def files(session: str) -> str:
    """Where its files are."""
    return f"/sessions/{session}/files"


@pytest.fixture
def place(cast: Cast, session: str) -> Path:
    """Its directory, as an agent's process has it."""
    cast.client.put(f"/sessions/{session}/files/x", content=b"x").raise_for_status()
    cast.client.delete(f"/sessions/{session}/files/x").raise_for_status()
    return Path(cast.live.env["TASKMASTER_DATA_DIR"]) / "workspaces" / cast.live.org / session


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def chunks(content: bytes) -> Iterator[bytes]:
    return (content[start : start + 100_000] for start in range(0, len(content), 100_000))


def asking(cast: Cast, path: str) -> socket.socket:
    """A connection that has asked for something and reads nothing of it."""
    connection = socket.create_connection(("127.0.0.1", int(cast.live.env["PORT"])), timeout=20)
    identity = "".join(f"{name}: {cast.client.headers[name]}\r\n" for name in ("Authorization", "X-Org-ID"))
    connection.sendall(f"GET /api/v1{path} HTTP/1.1\r\nHost: localhost\r\n{identity}\r\n".encode())
    return connection


def test_ten_megabytes_come_back_as_they_went(cast: Cast, files: str) -> None:
    content = os.urandom(10 * MB)
    for number, body in enumerate((content, chunks(content))):
        made = cast.client.put(f"{files}/big/{number}.bin", content=body)
        assert (made.status_code, made.json()["file"]["size"]) == (201, len(content))
        back = cast.client.get(f"{files}/big/{number}.bin")
        assert (back.status_code, digest(back.content)) == (200, digest(content))
        assert back.headers["Content-Length"] == str(len(content))
        assert back.headers["Content-Type"] == "application/octet-stream"
    assert [file["size"] for file in cast.client.get(files).json()["files"]] == [len(content)] * 2


def test_twenty_five_megabytes_are_taken_and_no_more(cast: Cast, files: str) -> None:
    assert cast.client.put(f"{files}/a", content=b"x" * 25 * MB).status_code == 201
    for body in (b"y" * 26 * MB, chunks(b"y" * 26 * MB)):
        answer = cast.client.put(f"{files}/a", content=body)
        check_envelope(answer, 413, "body_too_large")
        assert answer.json()["error"] == "The body is larger than 25 MB."
    assert cast.client.get(f"{files}/a").content == b"x" * 25 * MB


def test_nothing_but_files_may_be_that_large(cast: Cast, session: str, files: str) -> None:
    body = b'{"content": "' + b"x" * 2 * MB + b'"}'
    typed = {"Content-Type": "application/json"}
    for method, path in (
        ("POST", f"/sessions/{session}/messages"),
        ("POST", f"{files}/a"),
        ("PUT", files),
        ("PUT", f"{files}/"),
        ("PATCH", f"{files}/a"),
    ):
        answer = cast.client.request(method, path, content=body, headers=typed)
        check_envelope(answer, 413, "body_too_large")
        assert answer.json()["error"] == "The body is larger than 1 MB."


def test_the_quota_holds_over_the_network(cast: Cast, files: str, place: Path) -> None:
    with (place / "big").open("wb") as file:
        file.truncate(90 * MB)
    check_envelope(cast.client.put(f"{files}/a", content=b"x" * 11 * MB), 409, "quota_exceeded")
    assert sorted(os.listdir(place)) == ["big"]
    assert os.listdir(place.parent / ".incoming") == []


def test_head_and_a_known_tag_bring_no_content(cast: Cast, files: str) -> None:
    cast.client.put(f"{files}/a", content=b"x" * 2 * MB).raise_for_status()
    head = cast.client.head(f"{files}/a")
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", str(2 * MB))
    same = cast.client.get(f"{files}/a", headers={"If-None-Match": head.headers["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    # The connection is still good for more.
    assert len(cast.client.get(f"{files}/a").content) == 2 * MB


def test_slow_readers_hold_nobody_up(cast: Cast, files: str, place: Path) -> None:
    """More of them than there are threads; what each has not read yet is on disk, not in memory."""
    content = os.urandom(8 * MB)
    (place / "big").write_bytes(content)
    before = memory(cast)
    with ExitStack() as open_connections:
        readers = [open_connections.enter_context(asking(cast, f"{files}/big")) for _ in range(40)]
        for reader in readers:
            assert reader.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 200"
        assert cast.client.get("/sessions", timeout=10).status_code == 200
        assert memory(cast) - before < len(readers) * len(content) // 4
        last = b""
        while len(last) < len(content):
            piece = readers[-1].recv(MB)
            assert piece
            last = (last + piece)[-len(content) :]
        assert digest(last) == digest(content)


def memory(cast: Cast) -> int:
    """What the web processes hold, in bytes."""
    pages = (Path(f"/proc/{cast.live.pid(name)}/statm").read_text().split()[1] for name in cast.live.names("web"))
    return sum(map(int, pages)) * os.sysconf("SC_PAGE_SIZE")


def test_a_file_that_is_cut_short_meanwhile_is_seen_to_be_broken(cast: Cast, files: str, place: Path) -> None:
    big = place / "big"
    big.write_bytes(b"x" * 40 * MB)
    with cast.live.client() as client, client.stream("GET", f"{files}/big") as answer:
        parts = answer.iter_raw()
        next(parts)
        os.truncate(big, MB)
        with pytest.raises(httpx.RemoteProtocolError):
            sum(map(len, parts))


def test_a_replaced_file_is_still_sent_as_it_was(cast: Cast, files: str, place: Path) -> None:
    (place / "big").write_bytes(b"x" * 20 * MB)
    with cast.live.client() as client, client.stream("GET", f"{files}/big") as answer:
        parts = answer.iter_raw()
        got = [next(parts)]
        assert cast.client.put(f"{files}/big", content=b"y").status_code == 200
        got += parts
    assert digest(b"".join(got)) == digest(b"x" * 20 * MB)
    assert cast.client.get(f"{files}/big").content == b"y"


def test_no_path_as_it_stands_leads_out(cast: Cast, files: str) -> None:
    """Byte by byte, as no client's library would send it."""
    for path in ("../../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/secret_key", "/etc/passwd", "%00"):
        with asking(cast, f"{files}/{path}") as connection:
            assert connection.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 404"


def test_the_directory_goes_with_its_session(cast: Cast, session: str, files: str, place: Path) -> None:
    cast.client.put(f"{files}/a/b", content=b"x").raise_for_status()
    assert (place / "a" / "b").exists()
    cast.client.delete(f"/sessions/{session}").raise_for_status()
    until(lambda: not place.exists())
    assert cast.client.get(files).status_code == 404
