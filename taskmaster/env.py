"""The settings that come from the environment, each checked once; a wrong one stops the start with one clear line."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import environ

T = TypeVar("T")
RATE = re.compile(r"[1-9]\d{0,8}/[1-9]\d{0,5}[smhd]\Z")
DURATION = re.compile(r"([1-9]\d{0,8})([smhd])\Z")
SIZE = re.compile(r"([1-9]\d{0,8})(KB|MB|GB)\Z", re.I)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"KB": 1024, "MB": 1024**2, "GB": 1024**3}


class WrongSetting(Exception):
    """A variable whose value cannot be used."""


def read(name: str, parse: Callable[[str], T], default: T) -> T:
    """The variable `name`, parsed, or the default where it is unset or empty."""
    raw = os.environ.get(name, "").strip()
    if not raw:
        return default
    try:
        return parse(raw)
    except (ValueError, WrongSetting) as error:
        raise WrongSetting(f"{name}: {error}") from None


def whole(low: int, high: int) -> Callable[[str], int]:
    """A parser of whole numbers from `low` to `high`."""

    def parse(raw: str) -> int:
        if not re.fullmatch(r"-?\d{1,12}", raw) or not low <= int(raw) <= high:
            raise WrongSetting(f"expected a whole number from {low} to {high}, not {raw!r}")
        return int(raw)

    return parse


def rate(raw: str) -> str:
    """A rate such as `1000/15m`: requests, a slash, the window's length in s, m, h or d."""
    if not RATE.match(raw):
        raise WrongSetting(f"expected a rate such as 1000/15m, not {raw!r}")
    return raw


def seconds(raw: str) -> int:
    """A duration such as `24h` or `30d`, in seconds."""
    match = DURATION.match(raw)
    if not match:
        raise WrongSetting(f"expected a duration such as 90s, 15m, 24h or 30d, not {raw!r}")
    return int(match[1]) * _SECONDS[match[2]]


def size(raw: str) -> int:
    """A size such as `100MB` or `2GB`, in bytes."""
    match = SIZE.match(raw)
    if not match:
        raise WrongSetting(f"expected a size such as 500KB, 100MB or 2GB, not {raw!r}")
    return int(match[1]) * _BYTES[match[2].upper()]


def flag(raw: str) -> bool:
    """A switch: 1, true, yes, on or 0, false, no, off."""
    if raw.lower() in ("1", "true", "yes", "on"):
        return True
    if raw.lower() in ("0", "false", "no", "off"):
        return False
    raise WrongSetting(f"expected 1 or 0, not {raw!r}")


def names(raw: str) -> list[str]:
    """A list divided by commas."""
    return [part.strip() for part in raw.split(",") if part.strip()]


def programs(raw: str) -> list[str]:
    """A list of programs, each a name or an absolute path, or `*` for any, or `off` for none."""
    for program in names(raw):
        if "/" in program and not program.startswith("/"):
            raise WrongSetting(f"expected names or absolute paths, or *, or off, not {program!r}")
    return [] if raw.lower() == "off" else names(raw)


def origins(raw: str) -> list[str]:
    """A list of web origins such as `https://app.example.com`, or `*`."""
    for origin in names(raw):
        parts = urlsplit(origin)
        if origin != "*" and (parts.scheme not in ("http", "https") or not parts.netloc or parts.path):
            raise WrongSetting(f"expected origins such as https://app.example.com, not {origin!r}")
    return names(raw)


def url(*schemes: str) -> Callable[[str], str]:
    """A parser of urls with one of `schemes`."""

    def parse(raw: str) -> str:
        parts = urlsplit(raw)
        if parts.scheme not in schemes:
            # The value may hold a password, so the message never repeats it.
            raise WrongSetting(f"expected a URL that begins with {' or '.join(s + '://' for s in schemes)}")
        return raw

    return parse


def database(raw: str) -> dict[str, object]:
    """A Django database from a `postgres://` URL."""
    url("postgres", "postgresql")(raw)
    return dict(environ.Env.db_url_config(raw))


def load_dotenv(path: Path) -> None:
    """Take what `.env` sets and the environment does not."""
    if path.is_file():
        environ.Env.read_env(path, overwrite=False)


def stop(error: WrongSetting) -> None:
    """End the process with one line."""
    sys.stderr.write(f"Task Master cannot start: wrong setting {error}\n")
    raise SystemExit(2)
