"""The tokens that an agent says a turn took."""

from collections.abc import Mapping
from typing import Any

from acp.schema import PromptResponse

MOST_TOKENS = 10**9


def tokens(response: PromptResponse) -> int:
    """What the turn's answer reports, in the protocol's place or in `_meta`, 0 where it reports nothing.

    The protocol's `usage_update` tells how full the context is, which is not what was used.
    """
    if response.usage:
        return _count(response.usage.total_tokens)
    meta = response.field_meta or {}
    quota = meta.get("quota")  # Gemini CLI
    return _of(meta.get("usage")) or _of(quota.get("token_count") if isinstance(quota, dict) else None)


def _of(counts: Any) -> int:
    if not isinstance(counts, Mapping):
        return 0
    total = _first(counts, "totalTokens", "total_tokens")
    return total or _first(counts, "inputTokens", "input_tokens") + _first(counts, "outputTokens", "output_tokens")


def _first(counts: Mapping[str, Any], *names: str) -> int:
    return next((found for name in names if (found := _count(counts.get(name)))), 0)


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_TOKENS else 0
