"""The weights come from the first source that has them, and only their hash is believed."""

import hashlib
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from agents_app.local_model import LocalModelSettings
from agents_app.local_model.locks import FileLock
from agents_app.local_model.sources import Order
from agents_app.local_model.tool import Refused, Stopped
from agents_app.local_model.weights import NoWeights, Source, Weights, fetch

from .running import DATA, ROOT, TINY, environment

OWN = b"GGUF" + b"somebody else's model"


def good(order: Order) -> None:
    order.progress(order.size, order.size)
    order.target.write_bytes(DATA)


def wrong(order: Order) -> None:
    order.target.write_bytes(DATA[:-1] + b"!")


def short(order: Order) -> None:
    order.target.write_bytes(DATA[:100])


def refuses(order: Order) -> None:
    raise Refused("connection refused")


def never(order: Order) -> None:
    raise AssertionError("this source must not be asked")


def get(folder: Path, sources: Sequence[Source], model: str = "", stopping: Event | None = None) -> Weights:
    named = [(f"source {n}", source) for n, source in enumerate(sources, 1)]
    settings = LocalModelSettings(folder, model=model)
    return fetch(settings, lambda done, total: None, stopping or Event(), official=TINY, sources=named)


def file_of(folder: Path) -> Path:
    return folder / "models" / f"{TINY.sha256}.gguf"


def left(folder: Path) -> list[str]:
    return sorted(p.name for p in (folder / "models").rglob("*") if not p.name.endswith(".lock"))


def test_the_first_source_that_has_them_is_the_last_that_is_asked(tmp_path: Path) -> None:
    weights = get(tmp_path, [refuses, good, never])
    assert weights == Weights(file_of(tmp_path), "Tiny-Q4", ("source 1: connection refused",))
    assert weights.path.read_bytes() == DATA
    assert left(tmp_path) == [file_of(tmp_path).name]


@pytest.mark.parametrize("bad", [wrong, short])
def test_what_does_not_match_is_never_used(tmp_path: Path, bad: Source) -> None:
    assert get(tmp_path, [bad, good]).passed_over == ("source 1: gave a file with another hash",)
    assert file_of(tmp_path).read_bytes() == DATA


def test_when_nobody_has_them_every_reason_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoWeights) as caught:
        get(tmp_path, [refuses, wrong], model="/no/such.gguf")
    assert str(caught.value) == (
        "/no/such.gguf: No such file or directory; source 1: connection refused; "
        "source 2: gave a file with another hash"
    )
    assert not file_of(tmp_path).exists()


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    get(tmp_path, [good])
    assert get(tmp_path, [never]) == Weights(file_of(tmp_path), "Tiny-Q4")


def test_a_damaged_file_is_fetched_again(tmp_path: Path) -> None:
    get(tmp_path, [good])
    file_of(tmp_path).write_bytes(DATA[:-1] + b"!")
    get(tmp_path, [good])
    assert file_of(tmp_path).read_bytes() == DATA


def test_a_source_that_was_broken_off_finds_what_it_had(tmp_path: Path) -> None:
    found: list[bytes] = []

    def resumes(order: Order) -> None:
        found.append(order.target.read_bytes() if order.target.exists() else b"")
        order.target.write_bytes(DATA if found[-1] else DATA[:100])
        if not found[-1]:
            raise Refused("broke off")

    with pytest.raises(NoWeights):
        get(tmp_path, [resumes])
    get(tmp_path, [resumes])
    assert found == [b"", DATA[:100]]


def test_ones_own_model_is_used_where_it_lies_and_named_by_its_file(tmp_path: Path) -> None:
    own = tmp_path / "big-Q8.gguf"
    own.write_bytes(OWN)
    assert get(tmp_path / "data", [never], model=str(own)) == Weights(own, "big-Q8.gguf")
    assert not (tmp_path / "data").exists()


def test_ones_own_copy_of_the_official_file_has_its_name(tmp_path: Path) -> None:
    official = replace(TINY, size=len(OWN), sha256=hashlib.sha256(OWN).hexdigest())
    own = tmp_path / "copy.gguf"
    own.write_bytes(OWN)
    settings = LocalModelSettings(tmp_path, model=str(own))
    assert fetch(settings, lambda d, t: None, Event(), official=official, sources=[]).name == "Tiny-Q4"


def test_ones_own_file_that_is_no_model_is_passed_over(tmp_path: Path) -> None:
    own = tmp_path / "notes.txt"
    own.write_bytes(b"hello")
    assert get(tmp_path, [good], model=str(own)).passed_over == (f"{own}: is not a GGUF file",)


def test_whoever_waits_for_another_fetch_can_be_stopped(tmp_path: Path) -> None:
    lock, stopping = FileLock(tmp_path / "models" / "fetch.lock"), Event()
    assert lock.take()
    threading.Timer(0.1, stopping.set).start()
    with pytest.raises(Stopped):
        get(tmp_path, [never], stopping=stopping)
    lock.release()


FETCHER = """
import sys, time
from pathlib import Path
from tests.agents_app.local_model.running import DATA
from tests.agents_app.local_model.test_weights import get

def slow(order):
    with open(sys.argv[2], "a") as log:
        log.write("asked\\n")
    time.sleep(1)
    order.target.write_bytes(DATA)

print(get(Path(sys.argv[1]), [slow]).path)
"""


def test_of_many_processes_one_fetches(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-c", FETCHER, str(tmp_path), str(log)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(), cwd=ROOT) for _ in range(3)]
    printed = [process.communicate(timeout=30)[0].decode().strip() for process in started]
    assert printed == [str(file_of(tmp_path))] * 3
    assert log.read_text() == "asked\n"
