"""What an agent's own HTTP server answers, whole or event by event."""

import json
from collections.abc import Callable, Sequence

from ..base import Answer, BackendError, Json, Reporter, Request
from .refusals import hidden

WHO = "the agent's server"
LONGEST_NAME = 200
LONGEST_LINE = 2000
MOST_TOKENS = 10**9

# Reads JSON strictly; raises ValueError, saying why.
ReadJson = Callable[[bytes], Json]


class AgentAnswer:
    """What has come of an answer so far; `answer` once it is there."""

    def __init__(self, request: Request, reporter: Reporter, read_json: ReadJson, secrets: Sequence[str]) -> None:
        self.answer: Answer | None = None
        self._request = request
        self._reporter = reporter
        self._read_json = read_json
        self._secrets = secrets
        self._pieces: list[str] = []

    def whole(self, document: bytes) -> None:
        """Take a whole answer. Raises BackendError for what is none."""
        self._complete(self._object(document, "its answer"))

    def event(self, name: str, data: str) -> None:
        """Take one event of a stream. Raises BackendError for what is none, and for a failure that it tells of.

        Unknown events are passed over.
        """
        taken = {
            "delta": self._delta,
            "progress": self._progress,
            "log": self._log,
            "completed": self._complete,
            "failed": self._fail,
        }.get(name)
        if taken:
            taken(self._object(data.encode(), f"its event {name!r}"))

    def _object(self, document: bytes, what: str) -> dict[str, Json]:
        try:
            found = self._read_json(document)
        except ValueError as error:
            raise self._nonsense(f"{what} is not JSON that can be taken: {error}") from None
        if not isinstance(found, dict):
            raise self._nonsense(f"{what} is not a JSON object")
        return found

    def _delta(self, event: dict[str, Json]) -> None:
        content = event.get("content")
        if not isinstance(content, str):
            raise self._nonsense("the content of its event 'delta' is not a string")
        self._pieces.append(content)
        self._reporter.delta(content)

    def _progress(self, event: dict[str, Json]) -> None:
        fraction, note = event.get("progress"), event.get("message")
        if isinstance(fraction, int | float) and not isinstance(fraction, bool):
            bounded = min(max(float(fraction), 0.0), 1.0)
            self._reporter.progress(bounded, self._line(note) if isinstance(note, str) else "")

    def _log(self, event: dict[str, Json]) -> None:
        if isinstance(line := event.get("message"), str):
            self._reporter.log(self._line(line))

    def _fail(self, event: dict[str, Json]) -> None:
        error = event.get("error")
        reason = hidden(error, *self._secrets) if isinstance(error, str) and error.strip() else "without saying why"
        raise BackendError(
            f"{WHO} failed: {reason}", transient=event.get("retryable") is True, tokens=_count(event.get("tokensUsed"))
        )

    def _complete(self, told: dict[str, Json]) -> None:
        content, result, model = (told.get(name) for name in ("content", "result", "model"))
        if content is not None and not isinstance(content, str):
            raise self._nonsense("the content of its answer is not a string")
        if result is not None and not isinstance(result, dict):
            raise self._nonsense("the result of its answer is not an object")
        if content is None and self._pieces:
            content = "".join(self._pieces)
        if not content and result is None:
            raise self._nonsense("its answer has neither content nor result")
        self.answer = Answer(
            _text(content, result),
            result=self._result(content, result),
            tokens=_count(told.get("tokensUsed")),
            backend="http",
            model=model[:LONGEST_NAME] if isinstance(model, str) and model else None,
        )

    def _result(self, content: str | None, result: dict[str, Json] | None) -> dict[str, Json] | None:
        """The result, with the content in it that a session's message is answered with."""
        if result is None or (content is None and not self._request.is_message):
            return result
        return {"content": _text(content, result), **result}

    def _line(self, text: str) -> str:
        return hidden(text, *self._secrets, longest=LONGEST_LINE)

    def _nonsense(self, problem: str) -> BackendError:
        return BackendError(f"{WHO} answered nonsense: {hidden(problem, *self._secrets)}", code="bad_answer")


def _text(content: str | None, result: dict[str, Json] | None) -> str:
    """What a person reads: the content, else the result's own, else the result as it is."""
    if content is not None:
        return content
    own = (result or {}).get("content")
    return own if isinstance(own, str) else json.dumps(result, ensure_ascii=False)


def _count(value: Json) -> int:
    """The usage as it was reported; what is no count was not reported."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_TOKENS else 0
