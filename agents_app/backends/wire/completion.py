"""Puts an answer together from the pieces of a chat completion, streamed or whole."""

import json
from typing import Any

from ..base import BackendError, Reporter
from .refusals import storable, told

LONGEST_ANSWER = 1_000_000  # characters; an endpoint that never ends must not fill the memory
LONGEST_NAME = 200
MOST_TOKENS = 10**9
DONE = "[DONE]"


class Completion:
    """What has come of an answer so far. `ended` once nothing more is needed."""

    def __init__(self, reporter: Reporter, secret: str) -> None:
        self.model: str | None = None
        self.tokens = 0
        self.finish: str | None = None
        self.ended = False
        self._reporter = reporter
        self._secret = secret
        self._pieces: list[str] = []
        self._length = 0

    @property
    def content(self) -> str:
        """The text."""
        return "".join(self._pieces)

    @property
    def complete(self) -> bool:
        """Whether the endpoint said that this is all."""
        return self.ended or self.finish is not None

    def event(self, data: str) -> None:
        """Take one event of the stream. Raises BackendError for what is no such event, and for a reported failure."""
        if data.strip() == DONE:
            self.ended = True
        elif data.strip():
            self.take(data)

    def take(self, document: str) -> None:
        """Take a chunk, or a whole completion from an endpoint that does not stream."""
        try:
            chunk = json.loads(document)
        except (ValueError, RecursionError):
            raise BackendError("the model endpoint sent something that is not JSON", transient=True) from None
        if not isinstance(chunk, dict):
            raise BackendError("the model endpoint sent something that is no chat completion", transient=True)
        if chunk.get("error"):
            raise told(chunk["error"], self._secret, began=bool(self._pieces))
        self._meta(chunk)
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else []:
            if isinstance(choice, dict) and choice.get("index", 0) == 0:
                self._choice(choice)

    def _meta(self, chunk: dict[str, Any]) -> None:
        model = chunk.get("model")
        if isinstance(model, str) and model:
            self.model = storable(model[:LONGEST_NAME])
        # Some endpoints repeat the running total in every chunk: the last one counts, not their sum.
        self.tokens = _tokens(chunk.get("usage")) or self.tokens

    def _choice(self, choice: dict[str, Any]) -> None:
        said = choice.get("delta") or choice.get("message")
        text = said.get("content") if isinstance(said, dict) else None
        if isinstance(text, str) and text:
            self._add(text)
        if isinstance(choice.get("finish_reason"), str):
            self.finish = choice["finish_reason"]

    def _add(self, text: str) -> None:
        text = storable(text)[: LONGEST_ANSWER - self._length]
        self._length += len(text)
        self._pieces.append(text)
        self._reporter.delta(text)
        if self._length >= LONGEST_ANSWER:
            self.finish, self.ended = "length", True


def _tokens(usage: Any) -> int:
    if not isinstance(usage, dict):
        return 0
    total = _count(usage.get("total_tokens"))
    return total or _count(usage.get("prompt_tokens")) + _count(usage.get("completion_tokens"))


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_TOKENS else 0
