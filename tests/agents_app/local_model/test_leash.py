"""A child ends with its parent, by the kernel's signal and by the closed pipe, each alone."""

import subprocess
import sys

import pytest

from .running import ROOT, alive, environment, until

CHILDREN = {
    "signal": "import os; from agents_app.local_model.leash import die_with_parent; die_with_parent(os.getppid())",
    "pipe": "from agents_app.local_model.leash import die_at_end_of; die_at_end_of(0)",
}
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
if sys.argv[2] == "signal":
    time.sleep(60)
child.stdin.close()
time.sleep(60)
"""


@pytest.mark.parametrize("way", ["signal", "pipe"])
def test_a_child_ends(way: str) -> None:
    code = CHILDREN[way] + "; import time; print('up', flush=True); time.sleep(60)"
    command = [sys.executable, "-c", PARENT, code, way]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(), cwd=ROOT) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        if way == "signal":
            assert alive(pid)
            parent.kill()
        until(lambda: not alive(pid), 2)
        parent.kill()


def test_a_child_whose_parent_is_gone_already_does_not_live_on() -> None:
    code = "from agents_app.local_model.leash import die_with_parent; die_with_parent(1234567890); print('alive')"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), cwd=ROOT, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
