"""However a run ends, nothing of the agent is left: no process, no descriptor, no folder."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agents_app.backends.acp_client.keeper import children
from agents_app.backends.acp_client.process import AgentProcess, to_the_end

from ..local_model.running import ROOT, alive, environment, until
from .acp_running import SECRET, Desktop
from .recorder import Recorder

WORKER = """
import asyncio, json, sys
from pathlib import Path
from tests.agents_app.backends.acp_running import Desktop
from tests.agents_app.backends.recorder import Recorder
desktop = Desktop(Path(sys.argv[1]))
asyncio.run(desktop.backend().run(desktop.request("stubborn", env={"PIDS": sys.argv[2]}), Recorder()))
"""


@pytest.fixture
def pids(tmp_path: Path) -> Path:
    folder = tmp_path / "pids"
    folder.mkdir()
    return folder


def living(pids: Path) -> list[int]:
    return [int(file.name) for file in pids.iterdir() if alive(int(file.name))]


def keepers() -> list[int]:
    """What stands between this process and its agents."""
    return [pid for pid in children() if alive(pid) and b"keeper.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def cancelled(desktop: Desktop, *behaviour: str, pids: Path, when: Callable[[Recorder], asyncio.Event]) -> Recorder:
    """Have a run begin and cancel it."""

    async def run() -> Recorder:
        recorder = Recorder()
        request = desktop.request(*behaviour, env={"PIDS": str(pids)})
        running = asyncio.create_task(desktop.backend().run(request, recorder))
        await when(recorder).wait()
        assert living(pids)
        running.cancel()
        began = time.monotonic()
        await asyncio.wait({running})
        assert running.cancelled()
        assert time.monotonic() - began < 2
        return recorder

    return asyncio.run(asyncio.wait_for(run(), 10))


def test_a_cancelled_agent_is_told_and_may_end_its_turn(desktop: Desktop, pids: Path, tmp_path: Path) -> None:
    note = tmp_path / "note"
    cancelled(desktop, "cancels", str(note), pids=pids, when=lambda recorder: recorder.first)
    assert note.read_text() == "cancelled"
    assert living(pids) == keepers() == []


def test_a_cancelled_agent_that_heeds_nothing_is_killed_with_its_children(desktop: Desktop, pids: Path) -> None:
    cancelled(desktop, "stubborn", pids=pids, when=lambda recorder: recorder.first)
    assert len(list(pids.iterdir())) == 2
    assert living(pids) == keepers() == []


def test_a_run_that_is_cancelled_while_a_person_is_asked_ends(desktop: Desktop, pids: Path) -> None:
    call = json.dumps({"kind": "execute", "title": "ls"})
    recorder = cancelled(desktop, "asks", call, "allow_once", pids=pids, when=lambda recorder: recorder.asked)
    assert len(recorder.questions) == 1
    assert living(pids) == keepers() == []


def test_a_run_that_is_cancelled_again_and_again_still_leaves_nothing(desktop: Desktop, pids: Path) -> None:
    async def run() -> None:
        recorder = Recorder()
        request = desktop.request("stubborn", env={"PIDS": str(pids)}, workspace="", session_id=None)
        running = asyncio.create_task(desktop.backend().run(request, recorder))
        await recorder.first.wait()
        while not running.done():
            running.cancel()
            await asyncio.sleep(0.02)
        assert running.cancelled()

    asyncio.run(asyncio.wait_for(run(), 10))
    assert living(pids) == keepers() == []


def test_a_child_that_an_agent_leaves_behind_is_ended(desktop: Desktop, pids: Path) -> None:
    assert desktop.run("leaves", env={"PIDS": str(pids)}).content == "done"
    assert len(list(pids.iterdir())) == 2
    assert living(pids) == keepers() == []


@pytest.mark.parametrize("behaviour", ["answers", "breaks", "refused"])
def test_the_scratch_of_a_run_is_removed_whatever_became_of_it(desktop: Desktop, behaviour: str) -> None:
    with contextlib.suppress(Exception):
        desktop.run(behaviour)
    assert [file for file in desktop.work.parent.rglob("*") if file.name.startswith(".tmp")] == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_a_worker_that_is_killed_takes_its_agents_and_their_children_along(desktop: Desktop, pids: Path) -> None:
    command = [sys.executable, "-c", WORKER, str(desktop.work), str(pids)]
    with subprocess.Popen(command, env=environment(), cwd=ROOT) as worker:
        until(lambda: len(living(pids)) == 2)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        until(lambda: living(pids) == [], 5)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_an_agent_does_not_outlive_its_keeper(desktop: Desktop, pids: Path) -> None:
    async def run() -> None:
        recorder = Recorder()
        request = desktop.request("stalls", env={"PIDS": str(pids)})
        running = asyncio.create_task(desktop.backend().run(request, recorder))
        await recorder.first.wait()
        for keeper in keepers():
            os.kill(keeper, signal.SIGKILL)
        with pytest.raises(Exception, match="before it had answered"):
            await running

    asyncio.run(asyncio.wait_for(run(), 10))
    until(lambda: living(pids) == [], 5)


def test_a_keeper_that_does_not_end_is_killed(desktop: Desktop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents_app.backends.acp_client.process.KEEPER", (sys.executable, "-I", "-S", "-c", STUCK))
    monkeypatch.setattr("agents_app.backends.acp_client.process.PATIENCE", 0.2)

    async def run() -> int:
        process = await AgentProcess.start(["/bin/true"], env={}, cwd=str(desktop.work))
        assert await process.stdout.readline() == b"up\n"
        await process.stop()
        return process._keeper.pid

    pid = asyncio.run(asyncio.wait_for(run(), 10))
    assert not alive(pid)


STUCK = "import time; print('up', flush=True); time.sleep(60)"


def test_a_folder_that_is_gone_is_an_error_and_leaves_no_descriptor(desktop: Desktop) -> None:
    before = len(os.listdir("/dev/fd"))
    error = desktop.fail("answers", workspace=str(desktop.work / "none"))
    assert (str(error), error.transient) == ("the agent cannot be started: No such file or directory", False)
    assert len(os.listdir("/dev/fd")) <= before


def test_nothing_of_a_failed_run_gets_into_the_servers_log(desktop: Desktop, caplog: pytest.LogCaptureFixture) -> None:
    for behaviour in ("breaks", "wrong", "nonsense"):
        desktop.fail(behaviour, [-32603, SECRET, None])
    assert caplog.text == ""


def test_a_clean_up_is_finished_and_the_cancel_raised_after_it() -> None:
    async def run() -> list[str]:
        done: list[str] = []
        begun = asyncio.Event()

        async def clean() -> None:
            begun.set()
            await asyncio.sleep(0.05)
            done.append("cleaned")

        cleaning = asyncio.create_task(to_the_end(clean()))
        await begun.wait()
        cleaning.cancel()
        await asyncio.wait({cleaning})
        assert cleaning.cancelled()
        return done

    assert asyncio.run(run()) == ["cleaned"]
