"""An agent's own HTTP server as an agent's configuration describes it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from yarl import URL

from ..base import BackendError, Json

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
MOST_HEADERS = 50
LONGEST_VALUE = 4096
# What the request says itself, and what would change where it goes or how long it is.
OURS = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
        "x-taskmaster-signature",
    }
)


@dataclass(frozen=True, slots=True)
class AgentEndpoint:
    """Where the agent answers, what signs its requests, and what else they carry."""

    url: URL
    secret: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, config: Mapping[str, Json]) -> "AgentEndpoint":
        """Read `url`, `secret`, `headers`. Raises BackendError with code `not_configured`, naming the member."""
        secret = config.get("secret")
        if secret is not None and not isinstance(secret, str):
            _refuse("secret", "must be a string")
        return cls(_url(config.get("url")), secret or "", _headers(config.get("headers")))

    @property
    def secrets(self) -> list[str]:
        """What nobody may be shown: the secret, and the headers' values and their parts, such as behind Bearer."""
        values = [part for value in self.headers.values() for part in (value, *value.split()) if len(part) >= 6]
        return [self.secret, *values]


def _refuse(name: str, problem: str) -> NoReturn:
    raise BackendError(f"config.{name} {problem}", code="not_configured")


def _url(value: Json) -> URL:
    """Its form alone; where it leads is checked where the agent is made, and at every connection."""
    if not value:
        _refuse("url", "is missing")
    try:
        url = URL(value) if isinstance(value, str) else URL()
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host:
        _refuse("url", "must be an http or https address")
    return url


def _headers(value: Json) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > MOST_HEADERS:
        _refuse("headers", f"must be an object of at most {MOST_HEADERS} strings")
    for name, text in value.items():
        if not TOKEN.fullmatch(name):
            _refuse("headers", f"has a name that no header has: {name[:100]!r}")
        if name.lower() in OURS:
            _refuse("headers", f"may not set {name}")
        if not isinstance(text, str) or len(text) > LONGEST_VALUE or not (text.isascii() and text.isprintable()):
            _refuse("headers", f"has a value that no header has, for {name}")
    return dict(value)
