"""Who runs the embedded model, and what happens when somebody dies."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from agents_app.local_model import Endpoint, LocalModel, LocalModelSettings, holder
from agents_app.local_model.sources import Progress
from agents_app.local_model.weights import NoWeights, Weights

from .running import COMMAND, ROOT, alive, environment, job, tiny_weights, until

Make = Callable[..., LocalModel]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes supervisors on one data folder, and stops them."""
    made: list[LocalModel] = []

    def model(fetch: holder.Fetch = tiny_weights, **settings: Any) -> LocalModel:
        made.append(LocalModel(LocalModelSettings(tmp_path, **settings), command=COMMAND, fetch=fetch))
        return made[-1]

    yield model
    for each in made:
        each.stop()


@contextmanager
def worker(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Another process that takes part."""
    command = [sys.executable, "-m", "tests.agents_app.local_model.worker", str(folder)]
    process = subprocess.Popen(command, env=environment(), cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def ready(model: LocalModel) -> Endpoint:
    endpoint = until(model.endpoint)
    assert isinstance(endpoint, Endpoint)
    return endpoint


def test_the_model_is_started_with_what_the_settings_say(make: Make) -> None:
    model = make(threads=3, context=500, slots=2)
    model.start()
    endpoint = ready(model)
    told = job(endpoint)
    assert endpoint.model == "Tiny-Q4"
    assert (told["keys"], told["model"]) == ([endpoint.api_key], ["Tiny-Q4"])
    assert (told["threads"], told["slots"], told["context"]) == (3, 2, 1_000)
    assert told["hosts"] == ["127.0.0.1"]
    assert (model.status().state, model.status().fraction) == ("ready", 1.0)


def test_by_default_one_core_is_left_to_the_server(make: Make) -> None:
    model = make()
    model.start()
    assert job(ready(model))["threads"] == max(1, len(os.sched_getaffinity(0)) - 1)


def test_the_child_knows_no_secret_and_shows_none(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "the-servers-own")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant")
    model = make()
    model.start()
    endpoint = ready(model)
    process = Path(f"/proc/{job(endpoint)['pid']}")
    names = {line.split(b"=")[0] for line in (process / "environ").read_bytes().split(b"\0") if line}
    assert names <= {b"PATH", b"LANG", b"LC_ALL", b"LD_LIBRARY_PATH", b"PYTHONPATH"}
    assert endpoint.api_key.encode() not in (process / "cmdline").read_bytes()


def test_the_notice_is_for_its_owner_only_and_gone_afterwards(make: Make, tmp_path: Path) -> None:
    model = make()
    model.start()
    endpoint = ready(model)
    notice = tmp_path / "models" / "local.json"
    told = json.loads(notice.read_text())
    assert notice.stat().st_mode & 0o777 == 0o600
    assert (told["url"], told["key"], told["model"], told["pid"]) == (*endpoint, os.getpid())
    model.stop()
    assert not notice.exists()


def test_stopping_ends_the_child(make: Make) -> None:
    model = make()
    model.start()
    pid = job(ready(model))["pid"]
    model.stop()
    assert not alive(pid)
    assert model.endpoint() is None


def test_it_can_be_stopped_and_started_again(make: Make) -> None:
    model = make()
    for _ in range(2):
        model.start()
        assert alive(job(ready(model))["pid"])
        model.stop()


def test_a_listener_hears_of_it_each_time(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holder, "START_AGAIN_AFTER", (0.05,))
    model, heard = make(), []
    model.on_ready(lambda: 1 / 0)  # another listener's trouble
    model.on_ready(lambda: heard.append(model.endpoint()))
    model.start()
    first = ready(model)
    until(lambda: heard == [first])
    os.kill(job(first)["pid"], signal.SIGKILL)
    until(lambda: len(heard) == 2)
    assert heard[1] == model.endpoint() != first


def test_a_late_listener_hears_at_once(make: Make) -> None:
    model, heard = make(), []
    model.start()
    ready(model)
    model.on_ready(lambda: heard.append(1))
    assert heard == [1]


def test_a_killed_child_is_started_again_with_another_key(make: Make) -> None:
    model = make()
    model.start()
    first = ready(model)
    os.kill(job(first)["pid"], signal.SIGKILL)
    second = until(lambda: (now := model.endpoint()) and now != first and now)
    assert second.api_key != first.api_key
    assert job(second)["keys"] == [second.api_key]


def test_a_model_that_does_not_load_says_why_and_is_tried_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holder, "START_AGAIN_AFTER", (0.5,))
    names = iter(["broken.gguf", "fine.gguf"])

    def fetch(settings: LocalModelSettings, progress: Progress, stopping: Event) -> Weights:
        return Weights(Path(next(names)), "Tiny-Q4")

    model = make(fetch)
    model.start()
    until(lambda: model.status().state == "failed")
    assert model.status().detail == "the model's process ended with code 1: this is no model"
    assert model.endpoint() is None
    assert job(ready(model))["path"] == "fine.gguf"


def test_without_weights_it_fails_with_the_reasons_and_asks_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holder, "FETCH_AGAIN_AFTER", 0.3)
    tries: list[int] = []

    def fetch(settings: LocalModelSettings, progress: Progress, stopping: Event) -> Weights:
        tries.append(1)
        if len(tries) == 1:
            raise NoWeights("the hub: refused; the index: refused")
        return tiny_weights(settings, progress, stopping)

    model = make(fetch)
    model.start()
    until(lambda: model.status().state == "failed")
    assert model.status().detail == "the weights could not be had: the hub: refused; the index: refused"
    ready(model)
    assert len(tries) == 2


def test_how_far_the_weights_are_is_told_here_and_to_followers(make: Make) -> None:
    go_on = Event()

    def fetch(settings: LocalModelSettings, progress: Progress, stopping: Event) -> Weights:
        progress(25, 100)
        assert go_on.wait(10)
        return tiny_weights(settings, progress, stopping)

    model, follower, reader = make(fetch), make(), make()
    model.start()
    until(lambda: model.status().fraction == 0.25)
    follower.start()
    until(lambda: follower.status().fraction == 0.25)
    assert {m.status().state for m in (model, follower, reader)} == {"fetching"}
    assert reader.status().fraction == 0.25
    go_on.set()
    assert ready(model) == ready(follower) == reader.endpoint()


def test_stopping_does_not_wait_for_a_fetch(make: Make) -> None:
    def fetch(settings: LocalModelSettings, progress: Progress, stopping: Event) -> Weights:
        assert stopping.wait(10)
        raise holder.Stopped

    model = make(fetch)
    model.start()
    until(lambda: model.status().state == "fetching")
    model.stop()
    assert model.status().state == "starting"


def test_a_killed_parent_takes_its_child_along_and_another_takes_over(make: Make, tmp_path: Path) -> None:
    reader = make()
    with worker(tmp_path) as other:
        first = ready(reader)
        pid = job(first)["pid"]
        follower = make()
        follower.start()
        assert ready(follower) == first
        other.kill()
        other.wait()
        until(lambda: not alive(pid), 2)
        second = until(lambda: (now := follower.endpoint()) and now != first and now)
    assert job(second)["pid"] != pid
    assert reader.endpoint() == second


def test_nothing_of_a_dead_holder_is_believed(make: Make, tmp_path: Path) -> None:
    with worker(tmp_path):
        ready(make())
    assert (tmp_path / "models" / "local.json").exists()
    assert make().endpoint() is None
    assert make().status().detail == "no process runs the embedded model yet"


def test_of_many_processes_one_runs_the_model(make: Make, tmp_path: Path) -> None:
    model = make()
    with worker(tmp_path), worker(tmp_path):
        model.start()
        pid = job(ready(model))["pid"]
        same = [p for p in Path("/proc").glob("[0-9]*") if str(tmp_path) in _job_of(p) or p.name == str(pid)]
        assert [p.name for p in same if alive(int(p.name))] == [str(pid)]


def _job_of(process: Path) -> str:
    """Children of ours on this data folder have its log open as standard error."""
    try:
        return os.readlink(process / "fd" / "2")
    except OSError:
        return ""
