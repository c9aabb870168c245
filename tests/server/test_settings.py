"""A wrong setting stops the start with one clear line; nothing of a secret is repeated."""

import os
import subprocess
import sys

import pytest

from taskmaster import env
from tests.live import ROOT


def start(tmp_path, **env):
    """`manage.py check` in an environment of exactly these settings."""
    clean = {"PATH": os.environ["PATH"], "TASKMASTER_DATA_DIR": str(tmp_path)} | env
    command = [sys.executable, "manage.py", "check"]
    return subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "70000"),
        ("DATABASE_URL", "mysql://root:hunter2@localhost/x"),
        ("REDIS_URL", "localhost:6379"),
        ("TASKMASTER_RATE_LIMIT_AUTHENTICATED", "1000 per hour"),
        ("TASKMASTER_RATE_LIMIT_ANONYMOUS", "0/15m"),
        ("TASKMASTER_SESSION_IDLE", "soon"),
        ("TASKMASTER_WORKSPACE_QUOTA", "100"),
        ("TASKMASTER_RETENTION_EVENTS", "-1d"),
        ("TASKMASTER_ALLOWED_ORIGINS", "app.example.com"),
        ("TASKMASTER_LOCAL_MODEL", "/nowhere/model.gguf"),
        ("TASKMASTER_LOG_LEVEL", "loud"),
        ("TASKMASTER_WEBHOOK_ALLOW_PRIVATE", "loopback"),
        ("SECRET_KEY", "short"),
        ("TASKMASTER_DATA_DIR", "/proc/nowhere"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(tmp_path, name, value):
    ended = start(tmp_path, **{name: value})
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"Task Master cannot start: wrong setting {name}: ")
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "hunter2" not in ended.stderr


def test_a_size_has_a_unit():
    assert [env.size(raw) for raw in ("1KB", "100MB", "2gb")] == [1024, 100 * 1024**2, 2 * 1024**3]
    for raw in ("1", "MB", "0MB", "-1MB", "1.5MB", "1 MB", "1TB", "1MB\n"):
        with pytest.raises(env.WrongSetting):
            env.size(raw)


def test_services_need_a_key_of_their_own(tmp_path):
    ended = start(tmp_path, DATABASE_URL="postgres://x@127.0.0.1/x", REDIS_URL="redis://127.0.0.1/1")
    assert ended.returncode == 2
    assert "SECRET_KEY" in ended.stderr


def test_a_database_without_redis_is_half_a_profile(tmp_path):
    ended = start(tmp_path, DATABASE_URL="postgres://x@127.0.0.1/x", SECRET_KEY="x" * 32)
    assert ended.returncode == 2
    assert "REDIS_URL" in ended.stderr


def test_unset_settings_start_the_embedded_mode(tmp_path):
    ended = start(tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "secret_key").stat().st_mode & 0o077 == 0


def test_the_key_is_made_once(tmp_path):
    start(tmp_path)
    key = (tmp_path / "secret_key").read_text()
    start(tmp_path)
    assert (tmp_path / "secret_key").read_text() == key
    assert len(key) >= 48
