"""What goes wrong with an agent, in words that hold no secret, and whether another attempt may help."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..base import BackendError
from ..wire.refusals import HIDDEN, LIMITED, LONGEST_REASON, PASSING, wait

AUTH_REQUIRED = -32000  # Agent Client Protocol, "Authentication required"
CANNOT_START = frozenset({126, 127})
SHORTEST_SECRET = 6
LIMIT_WORDS = re.compile(r"\b429\b|rate.?limit|too many requests", re.IGNORECASE)


class Secrets:
    """The values that nobody is shown: an agent is given its keys in its environment."""

    def __init__(self, values: Iterable[str]) -> None:
        lines = {line.strip() for value in values for line in [value, *value.splitlines()]}
        self._values = sorted((line for line in lines if len(line) >= SHORTEST_SECRET), key=len, reverse=True)

    def hide(self, text: str) -> str:
        """The text without them."""
        for value in self._values:
            text = text.replace(value, HIDDEN)
        return text

    def line(self, text: str, longest: int = LONGEST_REASON) -> str:
        """One short line without them."""
        return " ".join(self.hide(text).split())[:longest]


def refused(code: int, message: str, data: Any, secrets: Secrets) -> BackendError:
    """The error for one that the agent answered with; `data` is what it adds to it."""
    more = data if isinstance(data, dict) else {}
    told = next((more[k] for k in ("details", "message", "error") if isinstance(more.get(k), str)), "")
    text = secrets.line(message if told in message else f"{message}: {told}")
    if code == AUTH_REQUIRED:
        return BackendError(f"the agent asks for credentials: {text}", code="not_configured")
    status = next((more[k] for k in ("statusCode", "status", "code") if isinstance(more.get(k), int)), 0)
    limited = status == LIMITED or (not status and bool(LIMIT_WORDS.search(text)))
    transient = limited or status in PASSING or status >= 500 or more.get("isRetryable") is True
    pause = wait(_headers(more)) if transient else None
    return BackendError(f"the agent failed: {text}", transient=transient, limited=limited, retry_after=pause)


def ended(code: int | None, last_words: str, secrets: Secrets) -> BackendError:
    """The error for a process that ended, with `code` where it is known, before it had answered."""
    text = secrets.line(last_words)
    because = f": {text}" if text else ""
    if code in CANNOT_START:
        return BackendError(f"the agent cannot be started{because}", code="not_configured")
    how = "closed the connection" if code is None else f"ended with code {code}"
    limited = bool(LIMIT_WORDS.search(text))
    return BackendError(f"the agent {how} before it had answered{because}", transient=True, limited=limited)


def nonsense(reason: str) -> BackendError:
    """The error for an agent that does not keep to the protocol."""
    return BackendError(reason, transient=True)


def _headers(more: Mapping[str, Any]) -> dict[str, str]:
    headers = more.get("responseHeaders") or more.get("headers")
    found = headers if isinstance(headers, dict) else {}
    said = [str(value) for name, value in found.items() if str(name).lower() == "retry-after"]
    return {"Retry-After": said[0]} if said else {}
