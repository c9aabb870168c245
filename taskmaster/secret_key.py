"""The server's secret key: from the environment, or made once into the data folder in the embedded mode."""

import contextlib
import os
import secrets
from pathlib import Path

from taskmaster.env import WrongSetting


def secret_key(data_dir: Path, *, embedded: bool) -> str:
    """The key. Raises WrongSetting where several machines would each make their own."""
    given = os.environ.get("SECRET_KEY", "")
    if given:
        if len(given) < 16:
            raise WrongSetting("SECRET_KEY: give at least 16 random characters")
        return given
    if not embedded:
        raise WrongSetting("SECRET_KEY: set it when DATABASE_URL is set, the same for every process")
    return _kept(data_dir / "secret_key")


def _kept(path: Path) -> str:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WrongSetting(f"TASKMASTER_DATA_DIR: cannot write to {path.parent}: {error.strerror}") from None
    fresh = path.with_name(f".secret_key.{os.getpid()}")
    # Written aside and linked into place: of two processes that start at once, one key wins, and it is whole.
    if not path.exists():
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(48))
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
    return path.read_text()
