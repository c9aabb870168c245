"""Loopback is open to outgoing calls where everything runs on one machine, and the start says so."""

import os
import subprocess
import sys

import pytest

from taskmaster.server.first_run import Made, announce
from tests.live import ROOT

NAME = "TASKMASTER_WEBHOOK_ALLOW_PRIVATE"
SERVICES = {
    "DATABASE_URL": "postgres://x@127.0.0.1/x",
    "REDIS_URL": "redis://127.0.0.1/1",
    "SECRET_KEY": "a-key-for-the-tests-of-this-setting",
}


@pytest.mark.parametrize(
    ("env", "allowed"),
    [
        ({}, True),
        ({NAME: "0"}, False),
        (SERVICES, False),
        (SERVICES | {NAME: ""}, False),
        (SERVICES | {NAME: "1"}, True),
    ],
)
def test_it_is_open_embedded_and_shut_with_services_unless_said_otherwise(tmp_path, env, allowed):
    clean = {"PATH": os.environ["PATH"], "TASKMASTER_DATA_DIR": str(tmp_path)} | env
    command = [sys.executable, "-c", "from taskmaster import settings; print(settings.WEBHOOK_ALLOW_PRIVATE)"]
    ended = subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == str(allowed)


def test_the_start_says_so_in_one_line(settings, capsys):
    settings.WEBHOOK_ALLOW_PRIVATE = True
    announce(Made("org_1"), 3001)
    lines = [line for line in capsys.readouterr().out.splitlines() if NAME in line]
    assert lines == [f"Webhooks and http agents may call this machine ({NAME}=0 forbids it)"]


def test_where_it_is_shut_there_is_nothing_to_say(settings, capsys):
    settings.WEBHOOK_ALLOW_PRIVATE = False
    announce(Made("org_1"), 3001)
    assert NAME not in capsys.readouterr().out
