"""A model endpoint as an agent's configuration describes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from yarl import URL

from ..base import BackendError, Json

CONTEXT_CHARS = 100_000
PATH = "/chat/completions"


@dataclass(frozen=True, slots=True)
class ModelEndpoint:
    """`max_tokens` and `temperature` are sent only where they are configured; `context_chars` bounds what is sent."""

    url: URL
    model: str
    api_key: str = field(default="", repr=False)
    system: str = ""
    max_tokens: int | None = None
    temperature: float | None = None
    context_chars: int = CONTEXT_CHARS

    @classmethod
    def of(cls, config: Mapping[str, Json]) -> "ModelEndpoint":
        """Read `baseUrl`, `model`, `apiKey`, `systemPrompt`, `maxTokens`, `temperature`, `contextChars`.

        Raises BackendError with code `not_configured`, naming the member.
        """
        max_tokens = config.get("maxTokens")
        temperature = config.get("temperature")
        return cls(
            url=_url(config.get("baseUrl")),
            model=_text(config, "model") or _refuse("model", "is missing"),
            api_key=_key(_text(config, "apiKey")),
            system=_text(config, "systemPrompt"),
            max_tokens=None if max_tokens is None else _whole("maxTokens", max_tokens),
            temperature=None if temperature is None else _number("temperature", temperature),
            context_chars=_whole("contextChars", config.get("contextChars") or CONTEXT_CHARS),
        )

    def headers(self) -> dict[str, str]:
        """What every request carries."""
        key = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        return {"Accept": "text/event-stream", **key}


def _refuse(name: str, problem: str) -> NoReturn:
    raise BackendError(f"config.{name} {problem}", code="not_configured")


def _text(config: Mapping[str, Json], name: str) -> str:
    value = config.get(name)
    if value is not None and not isinstance(value, str):
        _refuse(name, "must be a string")
    return (value or "").strip()


def _key(key: str) -> str:
    if not (key.isprintable() and key.isascii()):
        _refuse("apiKey", "has characters that no key has")
    return key


def _url(value: Json) -> URL:
    try:
        url = URL(value.strip()) if isinstance(value, str) else URL()
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host:
        _refuse("baseUrl", "must be an http or https address" if value else "is missing")
    path = url.path.rstrip("/")
    return url.with_path(path if path.endswith(PATH) else path + PATH, keep_query=True)


def _whole(name: str, value: Json) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    _refuse(name, "must be a positive whole number")


def _number(name: str, value: Json) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 2:
        return float(value)
    _refuse(name, "must be a number from 0 to 2")
