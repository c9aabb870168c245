"""Turns a request into the chat that a model is sent, within a bound of characters."""

import json
from collections.abc import Sequence

from ..base import Json, Request, Turn

Chat = list[dict[str, str]]

# A text of the context that long, which stands in the question word for word, is not told twice.
LONG = 80
LEFT_OUT = "\n\n[… {} characters left out …]\n\n"


def chat(request: Request, *, system: str, limit: int) -> Chat:
    """The system's words, as much of the conversation as fits, then what is asked.

    `limit` counts the characters of all contents. The question comes first, shortened in its middle where it alone is
    too long; of the conversation the newest turns stay and the oldest fall out.
    """
    question = shortened(prompt(request), limit - len(system))
    left = limit - len(system) - len(question)
    turns = [*_newest(request.messages, left), Turn("user", question)]
    head = [{"role": "system", "content": system}] if system else []
    return head + [{"role": t.role, "content": t.content} for t in _alternating(turns)]


def prompt(request: Request) -> str:
    """A message is its content; a task also has requirements and a context."""
    parts = [request.content]
    if not request.is_message and request.requirements:
        parts.append("Requirements:\n" + "\n".join(f"- {line}" for line in request.requirements))
    context = {} if request.is_message else _untold(request)
    if context:
        parts.append("Context:\n" + json.dumps(context, ensure_ascii=False, indent=1, default=str))
    return "\n\n".join(parts)


def _untold(request: Request) -> dict[str, Json]:
    """The context without the long texts that the content has already, as a step's prompt may have a whole diff."""
    return {name: value for name, value in request.context.items() if not _stands_in(request.content, value)}


def _stands_in(content: str, value: Json) -> bool:
    return isinstance(value, str) and len(value) >= LONG and value in content


def shortened(text: str, limit: int) -> str:
    """The text, without its middle where it is longer than `limit`: what is asked stands at the start or the end."""
    limit = max(limit, 1)
    if len(text) <= limit:
        return text
    note = LEFT_OUT.format(len(text) - limit)
    room = limit - len(note)
    if room < 2:
        return text[:limit]
    return text[: room - room // 2] + note + text[-(room // 2) :]


def _newest(messages: Sequence[Turn], left: int) -> list[Turn]:
    kept: list[Turn] = []
    for turn in reversed(messages):
        left -= len(turn.content)
        if left < 0:
            break
        kept.append(turn)
    while kept and kept[-1].role == "assistant":  # an answer whose question fell out would open the chat
        kept.pop()
    return kept[::-1]


def _alternating(turns: list[Turn]) -> list[Turn]:
    """Neighbours of one role become one turn: some models' templates refuse anything else."""
    merged: list[Turn] = []
    for turn in turns:
        role = "assistant" if turn.role == "assistant" else "user"
        if merged and merged[-1].role == role:
            merged[-1] = Turn(role, f"{merged[-1].content}\n\n{turn.content}")
        else:
            merged.append(Turn(role, turn.content))
    return merged
