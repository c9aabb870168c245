"""What a figure tells: one JSON line, with its baseline and its target."""

from dataclasses import asdict, dataclass, field
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Result:
    """One measured figure. `ok` says whether the target is met, and is None where there is none."""

    figure: str
    value: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    target: str | None = None
    ok: bool | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def line(self, profile: str) -> str:
        """The JSON line."""
        facts = asdict(self)
        return orjson.dumps(_rounded({"figure": facts.pop("figure"), "profile": profile} | facts)).decode()


def _rounded(value: Any) -> Any:
    """Numbers with as many digits as they are worth."""
    if isinstance(value, float):
        return round(value, 3 if abs(value) < 100 else 1)
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, list) else value
