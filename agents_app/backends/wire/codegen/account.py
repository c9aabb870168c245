"""Access to the Codegen API as an agent's configuration describes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from yarl import URL

from ...base import BackendError, Json

BASE_URL = "https://api.codegen.com"


@dataclass(frozen=True, slots=True)
class CodegenAccount:
    """A key, the organization that it is used in, and how new runs are created: what is empty is Codegen's choice."""

    base: URL
    org: int
    api_key: str = field(repr=False)
    repo: int | None = None
    model: str = ""
    agent_type: str = ""

    @classmethod
    def of(cls, config: Mapping[str, Json]) -> "CodegenAccount":
        """Read `apiKey`, `orgId`, `repoId`, `model`, `agentType`, `baseUrl`.

        Raises BackendError with code `not_configured`, naming the member.
        """
        return cls(
            base=_base(config),
            org=_number(config, "orgId") or _refuse("orgId", "is missing"),
            api_key=_key(config),
            repo=_number(config, "repoId"),
            model=_text(config, "model"),
            agent_type=_text(config, "agentType"),
        )

    def url(self, *parts: str | int, version: str = "v1") -> URL:
        """An address of the organization's."""
        return self.base.joinpath(*version.split("/"), "organizations", str(self.org), *map(str, parts))

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Accept": "application/json", "Authorization": f"Bearer {self.api_key}"}

    @property
    def options(self) -> dict[str, Json]:
        """What a new run is created with, besides its prompt."""
        wanted = {"repo_id": self.repo, "model": self.model, "agent_type": self.agent_type}
        return {name: value for name, value in wanted.items() if value}


def _refuse(name: str, problem: str) -> NoReturn:
    raise BackendError(f"config.{name} {problem}", code="not_configured")


def _text(config: Mapping[str, Json], name: str) -> str:
    value = config.get(name)
    if value is not None and not isinstance(value, str):
        _refuse(name, "must be a string")
    return (value or "").strip()


def _key(config: Mapping[str, Json]) -> str:
    key = _text(config, "apiKey") or _refuse("apiKey", "is missing")
    if not (key.isprintable() and key.isascii()):
        _refuse("apiKey", "has characters that no key has")
    return key


def _number(config: Mapping[str, Json], name: str) -> int | None:
    """A positive whole number; an environment variable has it as text."""
    value = config.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value.strip()[:20])
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63:
        return value
    _refuse(name, "must be a positive whole number")


def _base(config: Mapping[str, Json]) -> URL:
    value = config.get("baseUrl") or BASE_URL
    try:
        url = URL(value.strip()) if isinstance(value, str) else URL()
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host:
        _refuse("baseUrl", "must be an http or https address")
    return url.with_path(url.path.rstrip("/").removesuffix("/v1"))
